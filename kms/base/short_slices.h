// SPDX-License-Identifier: Apache-2.0
// Threads that answer somebody run soon after they wake, also while long work has the processors.
#pragma once

namespace kms {

// Asks the kernel for slices of 0.1 ms for the calling thread (sched_setattr(2), sched_runtime of
// SCHED_OTHER, Linux 6.12): what wakes with a shorter slice than the running thread's need not wait
// for its end, which is up to 3 ms away. No thread gets more of the processors than before. For
// threads that work for less than a slice at a time. Best effort: older kernels ignore it.
void AskForShortSlices();

}  // namespace kms
