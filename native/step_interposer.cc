#include "step_interposer.h"

#include <time.h>

#include "own_memory.h"

namespace leak_agent {

#if V8_MAJOR_VERSION >= 13 && defined(__linux__)

namespace {

// CPU time of this thread: other programs do not stretch it, but each reading is a system call. Stands still where it is
// not allowed.
int64_t ThreadNanos() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

bool StepInterposer::Install(OrdinalCounter* counter) {
  if (!counter->StillOurs()) return false;
  volatile uintptr_t* sampler = counter->sampler();
  const uintptr_t vtable = sampler[kObserverVtableWord];
  if (vtable == reinterpret_cast<uintptr_t>(copy_.slots)) return true;
  uintptr_t words[kWordsBefore + kSlotCount];
  const void* from = reinterpret_cast<const uintptr_t*>(vtable) - kWordsBefore;
  if (!ReadOwnMemory(from, words, sizeof(words))) return false;
  for (size_t i = 0; i < kWordsBefore; i++) copy_.before[i] = words[i];
  for (size_t i = 0; i < kSlotCount; i++) {
    if (words[kWordsBefore + i] == 0) return false;
    copy_.slots[i] = words[kWordsBefore + i];
  }
  original_vtable_ = vtable;
  original_step_ = reinterpret_cast<StepFunction>(copy_.slots[kStepSlot]);
  ordinal_ = &sampler[kOrdinalWord];
  copy_.slots[kStepSlot] = reinterpret_cast<uintptr_t>(&Step);
  sampler[kObserverVtableWord] = reinterpret_cast<uintptr_t>(copy_.slots);
  return true;
}

void StepInterposer::Remove(OrdinalCounter* counter) {
  if (original_vtable_ == 0 || !counter->StillOurs()) return;
  volatile uintptr_t* vtable = &counter->sampler()[kObserverVtableWord];
  if (*vtable == reinterpret_cast<uintptr_t>(copy_.slots)) *vtable = original_vtable_;
}

void StepInterposer::Step(void* observer, int bytes_allocated, uintptr_t soon_object, size_t size) {
  const uintptr_t slots = *static_cast<uintptr_t*>(observer);
  StepInterposer* self = reinterpret_cast<VtableCopy*>(slots - offsetof(VtableCopy, slots))->owner;
  const uint64_t before = *self->ordinal_;
  const bool is_timed = self->step_count_++ % kStepsPerTiming == 0;
  // The first reading brings the clock's own code into the caches, and is not used.
  if (is_timed) ThreadNanos();
  const int64_t start = is_timed ? ThreadNanos() : 0;
  self->original_step_(observer, bytes_allocated, soon_object, size);
  const uint64_t now = *self->ordinal_;
  if (now == before) return;
  if (is_timed) self->ring_->AddTimedSample(ThreadNanos() - start);
  self->ring_->Record(now);
}

#else

bool StepInterposer::Install(OrdinalCounter*) { return false; }
void StepInterposer::Remove(OrdinalCounter*) {}

#endif

}  // namespace leak_agent
