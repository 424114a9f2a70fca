// Isolate's thread. Owns a copied vtable for the sampler's allocation observer, whose `Step` also tells the ring about
// each new sample, and what V8 took for one in 16. Must put the original back before the sampler goes, and never write
// into a sampler that is not ours.
#ifndef LEAK_AGENT_NATIVE_STEP_INTERPOSER_H_
#define LEAK_AGENT_NATIVE_STEP_INTERPOSER_H_

#include <v8.h>

#include <cstddef>
#include <cstdint>

#include "ordinal_counter.h"
#include "sample_ring.h"

namespace leak_agent {

class StepInterposer {
 public:
  explicit StepInterposer(SampleRing* ring) : ring_(ring) { copy_.owner = this; }

  // False where the observer's vtable is not known to look as expected (V8 before 13, other compilers).
  bool Install(OrdinalCounter* counter);
  // Does nothing when V8 has already taken the observer away.
  void Remove(OrdinalCounter* counter);

 private:
  // v8::internal::AllocationObserver (src/heap/allocation-observer.h), Itanium C++ ABI: offset to top, type information,
  // then two destructors, Step, GetNextStepSize.
  static constexpr size_t kWordsBefore = 2;
  static constexpr size_t kSlotCount = 4;
  static constexpr size_t kStepSlot = 2;
  static constexpr uint32_t kStepsPerTiming = 16;
  struct VtableCopy {
    StepInterposer* owner;
    uintptr_t before[kWordsBefore];
    uintptr_t slots[kSlotCount];
  };
  using StepFunction = void (*)(void* observer, int bytes_allocated, uintptr_t soon_object, size_t size);

  static void Step(void* observer, int bytes_allocated, uintptr_t soon_object, size_t size);

  SampleRing* const ring_;
  VtableCopy copy_ = {};
  uintptr_t original_vtable_ = 0;
  StepFunction original_step_ = nullptr;
  volatile uintptr_t* ordinal_ = nullptr;
  uint32_t step_count_ = 0;
};

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_STEP_INTERPOSER_H_
