{
  "targets": [
    {
      "target_name": "leak_agent",
      "sources": [
        "native/binding.cc",
        "native/capture.cc",
        "native/gc_counters.cc",
        "native/heap_limit.cc",
        "native/isolate_state.cc",
        "native/ordinal_counter.cc",
        "native/own_memory.cc",
        "native/sample_ring.cc",
        "native/sampler.cc",
        "native/step_interposer.cc"
      ],
      "cflags_cc": ["-Wall", "-Wextra", "-Wno-cast-function-type", "-Wno-unused-parameter"],
      "xcode_settings": { "GCC_SYMBOLS_PRIVATE_EXTERN": "YES" }
    }
  ]
}
