#include "step_interposer.h"

#include "own_memory.h"

namespace leak_agent {

#if V8_MAJOR_VERSION >= 13 && defined(__linux__)

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
  const StepInterposer* self = reinterpret_cast<VtableCopy*>(slots - offsetof(VtableCopy, slots))->owner;
  const uint64_t before = *self->ordinal_;
  self->original_step_(observer, bytes_allocated, soon_object, size);
  const uint64_t now = *self->ordinal_;
  if (now != before) self->ring_->Record(now);
}

#else

bool StepInterposer::Install(OrdinalCounter*) { return false; }
void StepInterposer::Remove(OrdinalCounter*) {}

#endif

}  // namespace leak_agent
