#include "sample_ring.h"

#include <node.h>

namespace leak_agent {

namespace {

using v8::Context;
using v8::Local;
using v8::Object;
using v8::Value;

// The AsyncContextFrame of the moment; empty when there is none. Node keeps it in V8 from 24 on, earlier lines do not.
Local<Object> CurrentFrame(v8::Isolate* isolate) {
#if V8_MAJOR_VERSION >= 14
  const Local<v8::Data> data = isolate->GetContinuationPreservedEmbedderDataV2();
  if (data.IsEmpty() || !data->IsValue()) return {};
  const Local<Value> frame = data.As<Value>();
#elif V8_MAJOR_VERSION >= 13
  const Local<Value> frame = isolate->GetContinuationPreservedEmbedderData();
#else
  const Local<Value> frame;
#endif
  if (frame.IsEmpty() || !frame->IsMap()) return {};
  return frame.As<Object>();
}

// Of a given context, since an allocation in optimised code may have none of its own at hand.
double ExecutionAsyncId([[maybe_unused]] Local<Context> context) {
#if V8_MAJOR_VERSION >= 13
  return node::AsyncHooksGetExecutionAsyncId(context);
#else
  return -1;
#endif
}

struct Closing {
  void (*done)(void*);
  void* data;
};

}  // namespace

SampleRing::SampleRing(v8::Isolate* isolate)
    : isolate_(isolate),
      control_store_(v8::ArrayBuffer::NewBackingStore(isolate, kControlWordCount * sizeof(int32_t))),
      control_(static_cast<int32_t*>(control_store_->Data())),
      ordinals_store_(v8::ArrayBuffer::NewBackingStore(isolate, kCapacity * sizeof(double))) {}

v8::Local<v8::Int32Array> SampleRing::ControlArray() const {
  return v8::Int32Array::New(v8::ArrayBuffer::New(isolate_, control_store_), 0, kControlWordCount);
}

bool SampleRing::Open(Local<Context> context, Local<Object> storage, Local<v8::Function> drained) {
  if (loop_handle_ == nullptr) {
    uv_loop_t* loop = node::GetCurrentEventLoop(isolate_);
    if (loop == nullptr) return false;
    loop_handle_ = new uv_check_t;
    if (uv_check_init(loop, loop_handle_) != 0) {
      delete loop_handle_;
      loop_handle_ = nullptr;
      return false;
    }
    loop_handle_->data = this;
    uv_unref(reinterpret_cast<uv_handle_t*>(loop_handle_));
  }
  context_.Reset(isolate_, context);
  storage_.Reset(isolate_, storage);
  drained_.Reset(isolate_, drained);
  const Local<v8::ArrayBuffer> buffer = v8::ArrayBuffer::New(isolate_, ordinals_store_);
  ordinals_.Reset(isolate_, v8::Float64Array::New(buffer, 0, kCapacity));
  EndTurn();
  return uv_check_start(loop_handle_, [](uv_check_t* handle) {
           SampleRing* ring = static_cast<SampleRing*>(handle->data);
           ring->Drain();
           ring->EndTurn();
         }) == 0;
}

void SampleRing::Close() {
  if (loop_handle_ != nullptr) uv_check_stop(loop_handle_);
  for (size_t i = 0; i < length_; i++) entries_[i].frame.Reset();
  length_ = 0;
  control_[kControlRingLength] = 0;
  context_.Reset();
  storage_.Reset();
  drained_.Reset();
  ordinals_.Reset();
}

void SampleRing::Destroy(void (*done)(void*), void* data) {
  if (loop_handle_ == nullptr) return done(data);
  loop_handle_->data = new Closing{done, data};
  uv_close(reinterpret_cast<uv_handle_t*>(loop_handle_), [](uv_handle_t* handle) {
    Closing* closing = static_cast<Closing*>(handle->data);
    delete reinterpret_cast<uv_check_t*>(handle);
    closing->done(closing->data);
    delete closing;
  });
  loop_handle_ = nullptr;
}

void SampleRing::Record(uint64_t ordinal) {
  if (length_ == kCapacity) {
    control_[kControlRingOverflows] = control_[kControlRingOverflows] + 1;
    return;
  }
  Entry& entry = entries_[length_++];
  control_[kControlRingLength] = static_cast<int32_t>(length_);
  entry.ordinal = ordinal;
  entry.kind = Kind::kAgent;
  if (control_[kControlInsideAgent] != 0) return;
  const v8::HandleScope scope(isolate_);
  entry.async_id = ExecutionAsyncId(context_.Get(isolate_));
  const Local<Object> frame = CurrentFrame(isolate_);
  entry.kind = frame.IsEmpty() ? Kind::kNoFrame : Kind::kFrame;
  if (!frame.IsEmpty()) entry.frame.Reset(isolate_, frame);
}

// Both wrap around: they are read once a window, which takes seconds.
void SampleRing::AddTimedSample(int64_t nanos) {
  Add(kControlTimedSamples, 1);
  Add(kControlTimedNanos, static_cast<uint32_t>(nanos));
}

// Wraps around: what is compared lies a turn apart.
void SampleRing::EndTurn() { Add(kControlTurn, 1); }

void SampleRing::Add(ControlWord word, uint32_t count) {
  control_[word] = static_cast<int32_t>(static_cast<uint32_t>(control_[word]) + count);
}

void SampleRing::Drain() {
  if (length_ == 0 || draining_ || drained_.IsEmpty()) return;
  draining_ = true;
  const int32_t outer = control_[kControlInsideAgent];
  control_[kControlInsideAgent] = outer + 1;
  {
    const v8::HandleScope scope(isolate_);
    const Local<Context> context = context_.Get(isolate_);
    const v8::Context::Scope context_scope(context);
    Deliver(context);
  }
  control_[kControlInsideAgent] = outer;
  draining_ = false;
}

void SampleRing::Deliver(Local<Context> context) {
  const v8::TryCatch caught(isolate_);
  Local<Value> stores[kCapacity];
  const size_t count = TakeStores(context, static_cast<double*>(ordinals_store_->Data()), stores);
  Local<Value> arguments[] = {ordinals_.Get(isolate_), v8::Array::New(isolate_, stores, count),
                              v8::Integer::NewFromUnsigned(isolate_, static_cast<uint32_t>(count))};
  if (drained_.Get(isolate_)->Call(context, v8::Undefined(isolate_), 3, arguments).IsEmpty()) {
    control_[kControlDrainErrors] = control_[kControlDrainErrors] + 1;
  }
}

// The ring is empty before the first look-up, since a look-up may allocate, and so take a sample.
size_t SampleRing::TakeStores(Local<Context> context, double* ordinals, Local<Value>* stores) {
  const size_t count = length_;
  double async_ids[kCapacity];
  for (size_t i = 0; i < count; i++) {
    Entry& entry = entries_[i];
    async_ids[i] = entry.async_id;
    ordinals[i] = static_cast<double>(entry.ordinal);
    if (entry.kind == Kind::kAgent) stores[i] = v8::False(isolate_);
    if (entry.kind == Kind::kNoFrame) stores[i] = v8::Undefined(isolate_);
    if (entry.kind == Kind::kFrame) stores[i] = entry.frame.Get(isolate_);
    entry.frame.Reset();
  }
  length_ = 0;
  control_[kControlRingLength] = 0;
  for (size_t i = 0; i < count; i++) {
    if (stores[i]->IsMap()) stores[i] = StoreIn(context, stores[i].As<Object>());
    if (stores[i]->IsUndefined()) stores[i] = v8::Number::New(isolate_, async_ids[i]);
  }
  return count;
}

Local<Value> SampleRing::StoreIn(Local<Context> context, Local<Object> frame) {
  Local<Value> store;
  if (frame.As<v8::Map>()->Get(context, storage_.Get(isolate_)).ToLocal(&store)) return store;
  control_[kControlDrainErrors] = control_[kControlDrainErrors] + 1;
  return v8::Undefined(isolate_);
}

}  // namespace leak_agent
