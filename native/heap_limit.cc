#include "heap_limit.h"

#include <uv.h>

#include <atomic>

namespace leak_agent {

namespace {

// V8 ends the process when one function is added twice, as by two copies of the exports in one isolate.
std::atomic<bool> is_watched{false};

bool Identify(int file, uint64_t* device, uint64_t* inode) {
  uv_fs_t request;
  const bool found = uv_fs_fstat(nullptr, &request, file, nullptr) == 0;
  if (found) {
    *device = request.statbuf.st_dev;
    *inode = request.statbuf.st_ino;
  }
  uv_fs_req_cleanup(&request);
  return found;
}

}  // namespace

bool HeapLimit::Watch() {
  if (is_watched.exchange(true)) return false;
  watches_ = true;
  isolate_->AddNearHeapLimitCallback(OnNearLimit, this);
  return true;
}

void HeapLimit::Leave() {
  if (!watches_) return;
  watches_ = false;
  isolate_->RemoveNearHeapLimitCallback(OnNearLimit, 0);  // 0: the limit stays as it is.
  is_watched = false;
}

void HeapLimit::SetLastWord(int file, const uint8_t* bytes, size_t length) {
  file_ = -1;
  word_.assign(bytes, bytes + length);
  if (Identify(file, &device_, &inode_)) file_ = file;
}

// V8 asks this in the middle of a garbage collection, and ends the process when the limit stays.
size_t HeapLimit::OnNearLimit(void* data, size_t current_limit_bytes, size_t) {
  static_cast<HeapLimit*>(data)->Write();
  return current_limit_bytes;
}

void HeapLimit::Write() {
  uint64_t device = 0;
  uint64_t inode = 0;
  if (file_ < 0 || !Identify(file_, &device, &inode) || device != device_ || inode != inode_) return;
  uv_fs_t request;
  uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(word_.data()), static_cast<unsigned>(word_.size()));
  uv_fs_write(nullptr, &request, file_, &buffer, 1, -1, nullptr);
  uv_fs_req_cleanup(&request);
  file_ = -1;  // Once.
}

}  // namespace leak_agent
