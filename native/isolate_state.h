// Isolate's thread. Owns everything the addon keeps for one isolate, and takes all of it down when the environment ends:
// a sampler that outlives its environment kills the process on Node 24.
#ifndef LEAK_AGENT_NATIVE_ISOLATE_STATE_H_
#define LEAK_AGENT_NATIVE_ISOLATE_STATE_H_

#include <node.h>
#include <v8.h>

#include "gc_counters.h"
#include "heap_limit.h"
#include "sampler.h"

namespace leak_agent {

class IsolateState {
 public:
  // Deletes itself when the environment is cleaned up.
  static IsolateState* Create(v8::Isolate* isolate);
  static IsolateState* From(const v8::FunctionCallbackInfo<v8::Value>& info);
  // To be bound to every exported function, so that `From` finds this state.
  v8::Local<v8::External> ToExternal();

  v8::Isolate* isolate() const { return isolate_; }
  Sampler& sampler() { return sampler_; }
  HeapLimit& heap_limit() { return heap_limit_; }
  const GcCounters& gc_counters() const { return gc_counters_; }

 private:
  explicit IsolateState(v8::Isolate* isolate) : isolate_(isolate), sampler_(isolate), gc_counters_(isolate), heap_limit_(isolate) {}
  static void OnCleanup(void* data, void (*done)(void*), void* done_data);

  v8::Isolate* const isolate_;
  Sampler sampler_;
  GcCounters gc_counters_;
  HeapLimit heap_limit_;
  node::AsyncCleanupHookHandle cleanup_handle_;
  void (*cleanup_done_)(void*) = nullptr;
  void* cleanup_done_data_ = nullptr;
};

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_ISOLATE_STATE_H_
