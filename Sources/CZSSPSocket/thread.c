// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "CZSSPSocket.h"

/// The first version of the kernel's structure, which older C libraries do not declare.
struct attributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};

/// Sets the scheduling slice in nanoseconds, 0 for the system's choice, and raises the nice value,
/// but never lowers it. A thread with another policy, which somebody has set deliberately, is not
/// changed.
static int schedule(int nice, uint64_t slice) {
  if (sched_getscheduler(0) != SCHED_OTHER) return 0;
  // On Linux, process 0 means the calling thread. For the calling thread this cannot fail.
  const int current = getpriority(PRIO_PROCESS, 0);
  const struct attributes attributes = {
      .size = sizeof attributes, .policy = SCHED_OTHER, .nice = current > nice ? current : nice, .runtime = slice};
  if (syscall(SYS_sched_setattr, 0, &attributes, 0) == 0) return 0;
  return setpriority(PRIO_PROCESS, 0, attributes.nice) < 0 ? -errno : 0;
}

int czssp_nice_thread(int value) {
  // The slice of the system's choice, instead of a short one inherited from the starting thread.
  return schedule(value, 0);
}

int czssp_prompt_thread(const char *name) {
  pthread_setname_np(pthread_self(), name);
  // A running thread keeps the processor until its slice of some milliseconds is over, unless a
  // thread with a shorter slice wakes up. Linux before 6.12 has no slices for threads.
  return schedule(-20, 100 * 1000);
}

int czssp_pin_thread(int first, int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int processor = first; processor < first + count; processor++) CPU_SET(processor, &set);
  return sched_setaffinity(0, sizeof set, &set) < 0 ? -errno : 0;
}

#endif
