// SPDX-License-Identifier: Apache-2.0
// On processors with AVX-512 the C library copies through registers 16 to 31, which ordinary code
// never overwrites: a key would stay in them for hours, and land on a stack with the next lazily
// bound call.
#include "kms/base/vector_registers.h"

namespace kms {

#if defined(__x86_64__)

namespace {

void ClearUpperHalf() {
  asm volatile(
      "vpxorq %%zmm16, %%zmm16, %%zmm16\n\t"
      "vpxorq %%zmm17, %%zmm17, %%zmm17\n\t"
      "vpxorq %%zmm18, %%zmm18, %%zmm18\n\t"
      "vpxorq %%zmm19, %%zmm19, %%zmm19\n\t"
      "vpxorq %%zmm20, %%zmm20, %%zmm20\n\t"
      "vpxorq %%zmm21, %%zmm21, %%zmm21\n\t"
      "vpxorq %%zmm22, %%zmm22, %%zmm22\n\t"
      "vpxorq %%zmm23, %%zmm23, %%zmm23\n\t"
      "vpxorq %%zmm24, %%zmm24, %%zmm24\n\t"
      "vpxorq %%zmm25, %%zmm25, %%zmm25\n\t"
      "vpxorq %%zmm26, %%zmm26, %%zmm26\n\t"
      "vpxorq %%zmm27, %%zmm27, %%zmm27\n\t"
      "vpxorq %%zmm28, %%zmm28, %%zmm28\n\t"
      "vpxorq %%zmm29, %%zmm29, %%zmm29\n\t"
      "vpxorq %%zmm30, %%zmm30, %%zmm30\n\t"
      "vpxorq %%zmm31, %%zmm31, %%zmm31\n\t" ::
          : "memory");
}

void ClearLowerHalf() {
  asm volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory");
}

}  // namespace

void ClearVectorRegisters() {
  static const bool has_avx512 = __builtin_cpu_supports("avx512f") != 0;
  static const bool has_avx = __builtin_cpu_supports("avx") != 0;
  if (has_avx512) {
    ClearUpperHalf();
  }
  if (has_avx) {
    ClearLowerHalf();
  }
}

#else

void ClearVectorRegisters() {}

#endif

}  // namespace kms
