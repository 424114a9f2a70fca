// Isolate's thread. Turns V8's allocation profile into one buffer; owns which names have been sent in this sampler life.
// Must not create a JavaScript object per node.
#ifndef LEAK_AGENT_NATIVE_CAPTURE_H_
#define LEAK_AGENT_NATIVE_CAPTURE_H_

#include <v8-profiler.h>
#include <v8.h>

#include <cstdint>

namespace leak_agent {

class CaptureWriter {
 public:
  // Everything is unsent again: a new sampler life, or a reader that lost its names.
  void ForgetSentNames() { greatest_sent_node_id_ = 0; }

  // Empty when there is not enough memory for the buffer; the next capture then sends the same names again.
  v8::MaybeLocal<v8::ArrayBuffer> Write(v8::Isolate* isolate, v8::AllocationProfile* profile);

 private:
  // V8 numbers nodes upwards and never reuses an id, and a node that left the tree never returns. So a node is new since
  // the previous capture exactly when its id is above every id of that capture: one number replaces a set of sent ids.
  uint32_t greatest_sent_node_id_ = 0;
};

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_CAPTURE_H_
