// Owns the byte layout of one capture, nothing else. The description and the reader are src/model/capture.ts;
// test/unit/native/capture.test.js holds both against each other.
#ifndef LEAK_AGENT_NATIVE_CAPTURE_FORMAT_H_
#define LEAK_AGENT_NATIVE_CAPTURE_FORMAT_H_

#include <cstdint>

namespace leak_agent {

// Little endian like every platform that Node.js 20 and later supports with prebuilt binaries, but s390x.
constexpr uint32_t kCaptureMagic = 0x31434b4c;  // "LKC1"
constexpr uint32_t kCaptureVersion = 1;
constexpr uint32_t kCaptureFlagComplete = 1;

struct CaptureHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t flags;
  uint32_t header_bytes;
  uint32_t node_count;
  uint32_t nodes_offset;
  uint32_t sample_count;
  uint32_t samples_offset;
  uint32_t string_count;
  uint32_t string_index_offset;
  uint32_t string_bytes_offset;
  uint32_t total_bytes;
  uint32_t tree_node_count;
  uint32_t reserved[3];
};
static_assert(sizeof(CaptureHeader) == 64, "CAPTURE_HEADER_BYTES");

struct CaptureNode {
  uint32_t id;
  uint32_t parent_id;
  uint32_t name_string;
  uint32_t script_string;
  uint32_t script_id;
  uint32_t line;
  uint32_t column;
  uint32_t reserved;
};
static_assert(sizeof(CaptureNode) == 32, "CAPTURE_NODE_BYTES");

struct CaptureSample {
  double ordinal;
  uint32_t size_bytes;
  uint32_t node_id;
};
static_assert(sizeof(CaptureSample) == 16, "CAPTURE_SAMPLE_BYTES");

struct CaptureString {
  uint32_t offset;
  uint32_t length;
};
static_assert(sizeof(CaptureString) == 8, "two u32 per string");

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_CAPTURE_FORMAT_H_
