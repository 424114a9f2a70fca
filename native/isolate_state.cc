#include "isolate_state.h"

namespace leak_agent {

IsolateState* IsolateState::Create(v8::Isolate* isolate) {
  IsolateState* state = new IsolateState(isolate);
  state->cleanup_handle_ = node::AddEnvironmentCleanupHook(isolate, OnCleanup, state);
  return state;
}

// Asynchronous, because libuv gives a loop handle back only in a later loop turn. The sampler stops at once.
void IsolateState::OnCleanup(void* data, void (*done)(void*), void* done_data) {
  IsolateState* state = static_cast<IsolateState*>(data);
  state->cleanup_done_ = done;
  state->cleanup_done_data_ = done_data;
  {
    const v8::HandleScope scope(state->isolate_);
    state->sampler_.Stop();
    state->sampler_.RemoveInterposition();
  }
  state->sampler_.ring().Destroy(
      [](void* closed) {
        IsolateState* ended = static_cast<IsolateState*>(closed);
        void (*const report)(void*) = ended->cleanup_done_;
        void* const report_data = ended->cleanup_done_data_;
        delete ended;
        report(report_data);
      },
      state);
}

#if V8_MAJOR_VERSION >= 14
IsolateState* IsolateState::From(const v8::FunctionCallbackInfo<v8::Value>& info) {
  return static_cast<IsolateState*>(info.Data().As<v8::External>()->Value(v8::kExternalPointerTypeTagDefault));
}

v8::Local<v8::External> IsolateState::ToExternal() {
  return v8::External::New(isolate_, this, v8::kExternalPointerTypeTagDefault);
}
#else
IsolateState* IsolateState::From(const v8::FunctionCallbackInfo<v8::Value>& info) {
  return static_cast<IsolateState*>(info.Data().As<v8::External>()->Value());
}

v8::Local<v8::External> IsolateState::ToExternal() { return v8::External::New(isolate_, this); }
#endif

}  // namespace leak_agent
