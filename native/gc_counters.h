// Isolate's thread, inside V8's GC callbacks. Owns the GC totals that JavaScript reads as a Float64Array.
// Must not allocate on the JavaScript heap nor call JavaScript.
#ifndef LEAK_AGENT_NATIVE_GC_COUNTERS_H_
#define LEAK_AGENT_NATIVE_GC_COUNTERS_H_

#include <v8.h>

#include <cstdint>
#include <memory>

namespace leak_agent {

// Indexes are part of src/native.ts (GC_*).
enum GcCounter : size_t {
  kGcMajorCount = 0,
  kGcMinorCount = 1,
  kGcMajorPauseNanos = 2,
  kGcMinorPauseNanos = 3,
  kGcPostMajorHeapBytes = 4,
  kGcCounterCount = 8,
};

class GcCounters {
 public:
  explicit GcCounters(v8::Isolate* isolate);
  // Removes the callbacks; the array lives on with its last values as long as somebody holds it.
  ~GcCounters();
  GcCounters(const GcCounters&) = delete;
  GcCounters& operator=(const GcCounters&) = delete;

  v8::Local<v8::Float64Array> ToArray() const;

 private:
  static void OnPrologue(v8::Isolate* isolate, v8::GCType type, v8::GCCallbackFlags flags, void* data);
  static void OnEpilogue(v8::Isolate* isolate, v8::GCType type, v8::GCCallbackFlags flags, void* data);

  v8::Isolate* const isolate_;
  std::shared_ptr<v8::BackingStore> store_;
  double* const totals_;
  uint64_t major_start_nanos_ = 0;
  uint64_t minor_start_nanos_ = 0;
};

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_GC_COUNTERS_H_
