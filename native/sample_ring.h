// Isolate's thread. Owns the context frames of samples taken since the last drain: at most 256 handles, let go at each
// drain. `Record` runs inside an allocation: it must not call JavaScript nor allocate on the JavaScript heap.
#ifndef LEAK_AGENT_NATIVE_SAMPLE_RING_H_
#define LEAK_AGENT_NATIVE_SAMPLE_RING_H_

#include <uv.h>
#include <v8.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace leak_agent {

// Indexes are part of src/native.ts (CONTROL_*).
enum ControlWord : size_t {
  kControlInsideAgent = 0,
  kControlRingLength = 1,
  kControlRingOverflows = 2,
  kControlDrainErrors = 3,
  kControlTurn = 4,
  kControlTimedSamples = 5,
  kControlTimedNanos = 6,
  kControlWordCount = 8,
};

class SampleRing {
 public:
  explicit SampleRing(v8::Isolate* isolate);

  // `storage` is the AsyncLocalStorage whose store is looked up in each frame; `drained` receives the answers: the store,
  // or where there is none the number of the async resource that ran.
  // The loop handle drains once per loop turn and keeps nothing alive. False when it cannot be made.
  bool Open(v8::Local<v8::Context> context, v8::Local<v8::Object> storage, v8::Local<v8::Function> drained);
  // Forgets what waits and stops the loop handle.
  void Close();
  // After Close: gives the loop handle back to libuv, then calls `done(data)`, at once when there was none.
  void Destroy(void (*done)(void*), void* data);

  void Record(uint64_t ordinal);
  // What V8 took for one sample: CPU time of this thread.
  void AddTimedSample(int64_t nanos);
  // Calls `drained(ordinals, stores, count)` when something waits. What it throws is counted and goes no further.
  void Drain();

  v8::Local<v8::Int32Array> ControlArray() const;

 private:
  static constexpr size_t kCapacity = 256;
  enum class Kind : uint8_t { kNoFrame, kFrame, kAgent };
  struct Entry {
    uint64_t ordinal = 0;
    Kind kind = Kind::kNoFrame;
    double async_id = 0;
    v8::Global<v8::Object> frame;
  };

  void EndTurn();
  void Add(ControlWord word, uint32_t count);
  size_t TakeStores(v8::Local<v8::Context> context, double* ordinals, v8::Local<v8::Value>* stores);
  v8::Local<v8::Value> StoreIn(v8::Local<v8::Context> context, v8::Local<v8::Object> frame);
  void Deliver(v8::Local<v8::Context> context);

  v8::Isolate* const isolate_;
  std::shared_ptr<v8::BackingStore> control_store_;
  volatile int32_t* const control_;
  std::shared_ptr<v8::BackingStore> ordinals_store_;
  v8::Global<v8::Float64Array> ordinals_;
  v8::Global<v8::Context> context_;
  v8::Global<v8::Object> storage_;
  v8::Global<v8::Function> drained_;
  Entry entries_[kCapacity];
  size_t length_ = 0;
  bool draining_ = false;
  uv_check_t* loop_handle_ = nullptr;
};

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_SAMPLE_RING_H_
