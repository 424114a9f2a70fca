#include "capture.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "capture_format.h"

namespace leak_agent {

namespace {

using v8::AllocationProfile;
using v8::Local;

// Each distinct string once; V8 hands out internalized strings, whose hash is already known.
class StringTable {
 public:
  explicit StringTable(v8::Isolate* isolate) : isolate_(isolate) { Append("", 0); }

  uint32_t IndexOf(Local<v8::String> string) {
    if (string.IsEmpty() || string->Length() == 0) return 0;
    const int hash = string->GetIdentityHash();
    const auto range = by_hash_.equal_range(hash);
    for (auto it = range.first; it != range.second; ++it) {
      if (it->second.first->StrictEquals(string)) return it->second.second;
    }
    const v8::String::Utf8Value text(isolate_, string);
    const uint32_t index = Append(*text == nullptr ? "" : *text, *text == nullptr ? 0 : text.length());
    by_hash_.emplace(hash, std::make_pair(string, index));
    return index;
  }

  const std::vector<CaptureString>& index() const { return index_; }
  const std::string& bytes() const { return bytes_; }

 private:
  uint32_t Append(const char* text, size_t length) {
    index_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(length)});
    bytes_.append(text, length);
    return static_cast<uint32_t>(index_.size() - 1);
  }

  v8::Isolate* const isolate_;
  std::unordered_multimap<int, std::pair<Local<v8::String>, uint32_t>> by_hash_;
  std::vector<CaptureString> index_;
  std::string bytes_;
};

struct Walk {
  std::vector<CaptureNode> new_nodes;
  uint32_t tree_node_count = 0;
  uint32_t greatest_node_id = 0;
};

CaptureNode Describe(const AllocationProfile::Node& node, uint32_t parent_id, StringTable* strings) {
  return {node.node_id,
          parent_id,
          strings->IndexOf(node.name),
          strings->IndexOf(node.script_name),
          static_cast<uint32_t>(node.script_id),
          static_cast<uint32_t>(node.line_number),
          static_cast<uint32_t>(node.column_number),
          0};
}

// Parents before children.
Walk WalkTree(AllocationProfile* profile, uint32_t greatest_sent_node_id, StringTable* strings) {
  Walk walk;
  std::vector<std::pair<const AllocationProfile::Node*, uint32_t>> pending;
  pending.emplace_back(profile->GetRootNode(), 0);
  while (!pending.empty()) {
    const auto [node, parent_id] = pending.back();
    pending.pop_back();
    walk.tree_node_count++;
    walk.greatest_node_id = std::max(walk.greatest_node_id, node->node_id);
    if (node->node_id > greatest_sent_node_id) walk.new_nodes.push_back(Describe(*node, parent_id, strings));
    for (const AllocationProfile::Node* child : node->children) pending.emplace_back(child, node->node_id);
  }
  return walk;
}

void WriteSamples(const std::vector<AllocationProfile::Sample>& samples, CaptureSample* to) {
  for (const AllocationProfile::Sample& sample : samples) {
    const size_t size = std::min<size_t>(sample.size, std::numeric_limits<uint32_t>::max());
    *to++ = {static_cast<double>(sample.sample_id), static_cast<uint32_t>(size), sample.node_id};
  }
}

CaptureHeader MakeHeader(const Walk& walk, size_t sample_count, const StringTable& strings) {
  CaptureHeader header = {};
  header.magic = kCaptureMagic;
  header.version = kCaptureVersion;
  header.flags = walk.new_nodes.size() == walk.tree_node_count ? kCaptureFlagComplete : 0;
  header.header_bytes = sizeof(CaptureHeader);
  header.node_count = static_cast<uint32_t>(walk.new_nodes.size());
  header.nodes_offset = sizeof(CaptureHeader);
  header.sample_count = static_cast<uint32_t>(sample_count);
  header.samples_offset = header.nodes_offset + header.node_count * static_cast<uint32_t>(sizeof(CaptureNode));
  header.string_count = static_cast<uint32_t>(strings.index().size());
  header.string_index_offset =
      header.samples_offset + header.sample_count * static_cast<uint32_t>(sizeof(CaptureSample));
  header.string_bytes_offset =
      header.string_index_offset + header.string_count * static_cast<uint32_t>(sizeof(CaptureString));
  header.total_bytes = header.string_bytes_offset + static_cast<uint32_t>(strings.bytes().size());
  header.tree_node_count = walk.tree_node_count;
  return header;
}

// Unlike ArrayBuffer::New(isolate, length), running out of memory here is an empty answer and not the end of the process.
v8::MaybeLocal<v8::ArrayBuffer> ToArrayBuffer(v8::Isolate* isolate, char* bytes, size_t length) {
#if defined(V8_ENABLE_SANDBOX)
  std::shared_ptr<v8::BackingStore> store = v8::ArrayBuffer::NewBackingStore(isolate, length);
  memcpy(store->Data(), bytes, length);
  free(bytes);
#else
  std::shared_ptr<v8::BackingStore> store = v8::ArrayBuffer::NewBackingStore(
      bytes, length, [](void* data, size_t, void*) { free(data); }, nullptr);
#endif
  return v8::ArrayBuffer::New(isolate, std::move(store));
}

}  // namespace

v8::MaybeLocal<v8::ArrayBuffer> CaptureWriter::Write(v8::Isolate* isolate, AllocationProfile* profile) {
  StringTable strings(isolate);
  const Walk walk = WalkTree(profile, greatest_sent_node_id_, &strings);
  const std::vector<AllocationProfile::Sample>& samples = profile->GetSamples();
  const CaptureHeader header = MakeHeader(walk, samples.size(), strings);

  char* bytes = static_cast<char*>(malloc(header.total_bytes));
  if (bytes == nullptr) return {};
  memcpy(bytes, &header, sizeof(header));
  memcpy(bytes + header.nodes_offset, walk.new_nodes.data(), header.node_count * sizeof(CaptureNode));
  WriteSamples(samples, reinterpret_cast<CaptureSample*>(bytes + header.samples_offset));
  memcpy(bytes + header.string_index_offset, strings.index().data(), header.string_count * sizeof(CaptureString));
  memcpy(bytes + header.string_bytes_offset, strings.bytes().data(), strings.bytes().size());
  greatest_sent_node_id_ = std::max(greatest_sent_node_id_, walk.greatest_node_id);
  return ToArrayBuffer(isolate, bytes, header.total_bytes);
}

}  // namespace leak_agent
