// The addon's exports, as src/native.ts types them, and nothing else.
#include <node.h>
#include <v8.h>

#include <string>
#include <vector>

#include "isolate_state.h"

namespace leak_agent {

namespace {

using v8::FunctionCallback;
using v8::Local;
using v8::Value;
using Info = v8::FunctionCallbackInfo<Value>;

Sampler& SamplerOf(const Info& info) { return IsolateState::From(info)->sampler(); }

Local<Value> ToString(v8::Isolate* isolate, const char* text) {
  Local<v8::String> string;
  return v8::String::NewFromUtf8(isolate, text).ToLocal(&string) ? string.As<Value>() : v8::Null(isolate).As<Value>();
}

void Return(const Info& info, v8::MaybeLocal<Value> maybe) {
  Local<Value> value;
  if (maybe.ToLocal(&value)) {
    info.GetReturnValue().Set(value);
  } else {
    info.GetReturnValue().SetNull();
  }
}

void StartSampler(const Info& info) {
  StartResult result = StartResult::kFailed;
  if (info.Length() == 2 && info[0]->IsNumber() && info[1]->IsUint32()) {
    const double interval_bytes = info[0].As<v8::Number>()->Value();
    const uint32_t stack_depth = info[1].As<v8::Uint32>()->Value();
    if (interval_bytes >= 1 && interval_bytes <= 2e9 && stack_depth <= 255) {
      result = SamplerOf(info).Start(static_cast<uint64_t>(interval_bytes), static_cast<int>(stack_depth));
    }
  }
  const char* word = result == StartResult::kStarted ? "started" : result == StartResult::kForeign ? "foreign" : "failed";
  info.GetReturnValue().Set(ToString(info.GetIsolate(), word));
}

void StopSampler(const Info& info) { SamplerOf(info).Stop(); }
void SamplerIsOurs(const Info& info) { info.GetReturnValue().Set(SamplerOf(info).IsOurs()); }
void Capture(const Info& info) { Return(info, SamplerOf(info).Capture()); }
void ResendNames(const Info& info) { SamplerOf(info).ResendNames(); }
void ReadOrdinal(const Info& info) { info.GetReturnValue().Set(SamplerOf(info).ReadOrdinal()); }

void CounterView(const Info& info) {
  Return(info, SamplerOf(info).CounterView(info.GetIsolate()->GetCurrentContext()));
}

void CounterProblem(const Info& info) {
  info.GetReturnValue().Set(ToString(info.GetIsolate(), SamplerOf(info).CounterProblem()));
}

void Interpose(const Info& info) {
  bool interposed = false;
  if (info.Length() == 2 && info[0]->IsObject() && info[1]->IsFunction()) {
    interposed = SamplerOf(info).Interpose(info.GetIsolate()->GetCurrentContext(), info[0].As<v8::Object>(),
                                           info[1].As<v8::Function>());
  }
  info.GetReturnValue().Set(interposed);
}

void RemoveInterposition(const Info& info) { SamplerOf(info).RemoveInterposition(); }
void Drain(const Info& info) { SamplerOf(info).ring().Drain(); }

void RequestMajorGc(const Info& info) {
  info.GetIsolate()->MemoryPressureNotification(v8::MemoryPressureLevel::kModerate);
  info.GetIsolate()->MemoryPressureNotification(v8::MemoryPressureLevel::kNone);
}

void WatchHeapLimit(const Info& info) {
  info.GetReturnValue().Set(IsolateState::From(info)->heap_limit().Watch());
}

void SetHeapLimitWord(const Info& info) {
  if (info.Length() != 2 || !info[0]->IsInt32() || !info[1]->IsUint8Array()) return;
  std::vector<uint8_t> bytes(info[1].As<v8::Uint8Array>()->ByteLength());
  info[1].As<v8::Uint8Array>()->CopyContents(bytes.data(), bytes.size());
  IsolateState::From(info)->heap_limit().SetLastWord(info[0].As<v8::Int32>()->Value(), bytes.data(), bytes.size());
}

void BenchmarkAllocationProfile(const Info& info) {
  info.GetReturnValue().Set(SamplerOf(info).TimeAllocationProfile());
}

// `13.6` of `13.6.233.17-node.44`.
std::string MajorMinor() {
  const std::string version = v8::V8::GetVersion();
  return version.substr(0, version.find('.', version.find('.') + 1));
}

// False when the isolate is being terminated; the exports then stay incomplete and nobody is left to see them.
bool Set(Local<v8::Context> context, Local<v8::Object> exports, const char* name, Local<Value> value) {
  return exports->Set(context, ToString(v8::Isolate::GetCurrent(), name), value).FromMaybe(false);
}

bool SetFunction(Local<v8::Context> context, Local<v8::Object> exports, const char* name, FunctionCallback callback,
                 Local<Value> state) {
  Local<v8::Function> function;
  return v8::Function::New(context, callback, state).ToLocal(&function) && Set(context, exports, name, function);
}

}  // namespace

NODE_MODULE_INIT() {
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  IsolateState* state = IsolateState::Create(isolate);
  const Local<Value> data = state->ToExternal();
  const struct {
    const char* name;
    FunctionCallback callback;
  } functions[] = {
      {"startSampler", StartSampler},
      {"stopSampler", StopSampler},
      {"samplerIsOurs", SamplerIsOurs},
      {"capture", Capture},
      {"resendNames", ResendNames},
      {"readOrdinal", ReadOrdinal},
      {"counterView", CounterView},
      {"counterProblem", CounterProblem},
      {"interpose", Interpose},
      {"removeInterposition", RemoveInterposition},
      {"drain", Drain},
      {"requestMajorGc", RequestMajorGc},
      {"watchHeapLimit", WatchHeapLimit},
      {"setHeapLimitWord", SetHeapLimitWord},
      {"benchmarkAllocationProfile", BenchmarkAllocationProfile},
  };
  for (const auto& entry : functions) {
    if (!SetFunction(context, exports, entry.name, entry.callback, data)) return;
  }
  Set(context, exports, "gcCounters", state->gc_counters().ToArray());
  Set(context, exports, "control", state->sampler().ring().ControlArray());
  Set(context, exports, "v8MajorMinor", ToString(isolate, MajorMinor().c_str()));
}

}  // namespace leak_agent
