#include "sampler.h"

#include <uv.h>

#include <memory>
#include <utility>

namespace leak_agent {

using v8::Local;

StartResult Sampler::Start(uint64_t interval_bytes, int stack_depth) {
  if (interval_bytes == 0 || stack_depth <= 0 || IsOurs()) return StartResult::kFailed;
  const uint64_t odd_interval_bytes = (interval_bytes - 1) | 1;
  counter_.RememberBefore(profiler_);
  if (!profiler_->StartSamplingHeapProfiler(odd_interval_bytes, stack_depth, v8::HeapProfiler::kSamplingNoFlags)) {
    return StartResult::kForeign;
  }
  started_ = true;
  writer_.ForgetSentNames();
  counter_.Find(isolate_, profiler_, odd_interval_bytes);
  return StartResult::kStarted;
}

void Sampler::Stop() {
  if (!IsOurs()) return;
  RemoveInterposition();
  profiler_->StopSamplingHeapProfiler();
  Lose();
}

bool Sampler::IsOurs() {
  if (started_ && counter_.found() && !counter_.StillOurs()) Lose();
  return started_;
}

void Sampler::Lose() {
  started_ = false;
  counter_.Forget();
  ring_.Close();
}

v8::MaybeLocal<v8::Value> Sampler::Capture() {
  if (!IsOurs()) return v8::Null(isolate_);
  const std::unique_ptr<v8::AllocationProfile> profile(profiler_->GetAllocationProfile());
  if (profile == nullptr) {
    Lose();
    return v8::Null(isolate_);
  }
  Local<v8::ArrayBuffer> buffer;
  if (!writer_.Write(isolate_, profile.get()).ToLocal(&buffer)) return {};
  return buffer;
}

double Sampler::ReadOrdinal() { return IsOurs() && counter_.found() ? static_cast<double>(counter_.Read()) : -1; }

v8::MaybeLocal<v8::Value> Sampler::CounterView(Local<v8::Context> context) {
#if defined(V8_ENABLE_SANDBOX)
  return v8::Null(isolate_);  // V8 refuses memory that is not its own; ReadOrdinal still works.
#else
  if (!IsOurs() || !counter_.found()) return v8::Null(isolate_);
  const uint64_t expected = reinterpret_cast<uintptr_t>(counter_.sampler());
  const std::pair<const char*, Local<v8::Value>> fields[] = {
      {"profilerWord", ViewOf(counter_.profiler_word(), 1)},
      {"expectedLow", v8::Integer::NewFromUnsigned(isolate_, static_cast<uint32_t>(expected))},
      {"expectedHigh", v8::Integer::NewFromUnsigned(isolate_, static_cast<uint32_t>(expected >> 32))},
      {"sampler", ViewOf(counter_.sampler(), kSamplerWordCount)},
      {"ordinalIndex", v8::Integer::New(isolate_, 2 * kOrdinalWord)},
      {"intervalIndex", v8::Integer::New(isolate_, 2 * kObserverRateWord)},
      {"intervalBytes", v8::Number::New(isolate_, static_cast<double>(counter_.interval_bytes()))},
  };
  const Local<v8::Object> view = v8::Object::New(isolate_);
  for (const auto& [name, value] : fields) {
    Local<v8::String> key;
    if (!v8::String::NewFromUtf8(isolate_, name).ToLocal(&key)) return {};
    if (view->Set(context, key, value).IsNothing()) return {};
  }
  return view;
#endif
}

Local<v8::Uint32Array> Sampler::ViewOf(volatile uintptr_t* words, size_t word_count) const {
  std::shared_ptr<v8::BackingStore> store = v8::ArrayBuffer::NewBackingStore(
      const_cast<uintptr_t*>(words), word_count * sizeof(uintptr_t), [](void*, size_t, void*) {}, nullptr);
  const Local<v8::ArrayBuffer> buffer = v8::ArrayBuffer::New(isolate_, std::move(store));
  return v8::Uint32Array::New(buffer, 0, word_count * (sizeof(uintptr_t) / sizeof(uint32_t)));
}

bool Sampler::Interpose(Local<v8::Context> context, Local<v8::Object> storage, Local<v8::Function> drained) {
  if (!IsOurs() || !counter_.found()) return false;
  if (!ring_.Open(context, storage, drained)) return false;
  if (interposer_.Install(&counter_)) return true;
  ring_.Close();
  return false;
}

void Sampler::RemoveInterposition() {
  interposer_.Remove(&counter_);
  ring_.Close();
}

double Sampler::TimeAllocationProfile() {
  if (!IsOurs()) return 0;
  const v8::HandleScope scope(isolate_);
  const uint64_t start = uv_hrtime();
  delete profiler_->GetAllocationProfile();
  return static_cast<double>(uv_hrtime() - start);
}

}  // namespace leak_agent
