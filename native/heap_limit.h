// Main isolate's thread. Owns the last word of a process that dies at V8's heap limit, where no JavaScript runs any more.
// Must never raise the limit, nor stand in the way of another callback: V8 asks only the one that was added last.
#ifndef LEAK_AGENT_NATIVE_HEAP_LIMIT_H_
#define LEAK_AGENT_NATIVE_HEAP_LIMIT_H_

#include <v8.h>

#include <cstdint>
#include <vector>

namespace leak_agent {

class HeapLimit {
 public:
  explicit HeapLimit(v8::Isolate* isolate) : isolate_(isolate) {}
  ~HeapLimit() { Leave(); }

  // Adds the callback. To be called before anybody else adds one: theirs are then asked first. False when this process
  // has one already.
  bool Watch();
  // What to write, and where to: `file` must be open for appending. Replaces what was given before.
  void SetLastWord(int file, const uint8_t* bytes, size_t length);

 private:
  static size_t OnNearLimit(void* data, size_t current_limit_bytes, size_t initial_limit_bytes);
  void Write();
  void Leave();

  v8::Isolate* const isolate_;
  bool watches_ = false;
  int file_ = -1;
  // The descriptor may have been closed and given to another file: only the one that was meant is written to.
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
  std::vector<uint8_t> word_;
};

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_HEAP_LIMIT_H_
