#include "gc_counters.h"

#include <uv.h>

namespace leak_agent {

namespace {

// Everything else (incremental marking steps, weak callbacks) is part of a cycle that one of these two ends.
constexpr int kMajorTypes = v8::kGCTypeMarkSweepCompact;
// The second young-generation collector was renamed between V8 11 and 12; its bit was not.
constexpr int kMinorTypes = v8::kGCTypeScavenge | (1 << 1);
constexpr v8::GCType kCountedTypes = static_cast<v8::GCType>(kMajorTypes | kMinorTypes);

}  // namespace

GcCounters::GcCounters(v8::Isolate* isolate)
    : isolate_(isolate),
      store_(v8::ArrayBuffer::NewBackingStore(isolate, kGcCounterCount * sizeof(double))),
      totals_(static_cast<double*>(store_->Data())) {
  isolate_->AddGCPrologueCallback(OnPrologue, this, kCountedTypes);
  isolate_->AddGCEpilogueCallback(OnEpilogue, this, kCountedTypes);
}

GcCounters::~GcCounters() {
  isolate_->RemoveGCPrologueCallback(OnPrologue, this);
  isolate_->RemoveGCEpilogueCallback(OnEpilogue, this);
}

v8::Local<v8::Float64Array> GcCounters::ToArray() const {
  return v8::Float64Array::New(v8::ArrayBuffer::New(isolate_, store_), 0, kGcCounterCount);
}

void GcCounters::OnPrologue(v8::Isolate*, v8::GCType type, v8::GCCallbackFlags, void* data) {
  GcCounters* self = static_cast<GcCounters*>(data);
  ((type & kMajorTypes) != 0 ? self->major_start_nanos_ : self->minor_start_nanos_) = uv_hrtime();
}

void GcCounters::OnEpilogue(v8::Isolate* isolate, v8::GCType type, v8::GCCallbackFlags, void* data) {
  GcCounters* self = static_cast<GcCounters*>(data);
  double* totals = self->totals_;
  const uint64_t now = uv_hrtime();
  if ((type & kMajorTypes) == 0) {
    totals[kGcMinorCount] += 1;
    totals[kGcMinorPauseNanos] += static_cast<double>(now - self->minor_start_nanos_);
    return;
  }
  totals[kGcMajorCount] += 1;
  totals[kGcMajorPauseNanos] += static_cast<double>(now - self->major_start_nanos_);
  v8::HeapStatistics statistics;
  isolate->GetHeapStatistics(&statistics);
  totals[kGcPostMajorHeapBytes] = static_cast<double>(statistics.used_heap_size());
}

}  // namespace leak_agent
