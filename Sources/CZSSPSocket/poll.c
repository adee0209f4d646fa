// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "CZSSPSocket.h"

/// The tag of the descriptor that wakes a waiting thread.
static const uint64_t waking = 0;

struct czssp_poller {
  int poller;
  int waker;
  /// True if the system waits in milliseconds only.
  bool is_coarse;
};

static int control(czssp_poller *poller, int operation, int descriptor, uint64_t tag, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.u64 = tag}};
  return epoll_ctl(poller->poller, operation, descriptor, &event) < 0 ? -errno : 0;
}

czssp_poller *czssp_poller_create(void) {
  czssp_poller *poller = calloc(1, sizeof *poller);
  if (!poller) return NULL;
  poller->poller = epoll_create1(EPOLL_CLOEXEC);
  poller->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (poller->poller >= 0 && poller->waker >= 0 && control(poller, EPOLL_CTL_ADD, poller->waker, waking, EPOLLIN) == 0) {
    return poller;
  }
  czssp_poller_destroy(poller);
  return NULL;
}

void czssp_poller_destroy(czssp_poller *poller) {
  if (poller->poller >= 0) close(poller->poller);
  if (poller->waker >= 0) close(poller->waker);
  free(poller);
}

int czssp_poller_add(czssp_poller *poller, int descriptor, uint64_t tag) {
  return control(poller, EPOLL_CTL_ADD, descriptor, tag, EPOLLIN);
}

int czssp_poller_change(czssp_poller *poller, int descriptor, uint64_t tag, bool reading, bool writing) {
  return control(poller, EPOLL_CTL_MOD, descriptor, tag, (reading ? EPOLLIN : 0) | (writing ? EPOLLOUT : 0));
}

int czssp_poller_remove(czssp_poller *poller, int descriptor) {
  return control(poller, EPOLL_CTL_DEL, descriptor, 0, 0);
}

void czssp_poller_wake(czssp_poller *poller) {
  const uint64_t one = 1;
  // It fails only if 2^64 wake-ups were not read.
  while (write(poller->waker, &one, sizeof one) < 0 && errno == EINTR) continue;
}

/// The number is the same on all processors. C libraries before 2.35 do not have the function.
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/// Waits with a resolution of nanoseconds. Before Linux 5.11 it waits in milliseconds, rounded up.
static int wait_for(czssp_poller *poller, struct epoll_event *events, int limit, int64_t nanoseconds) {
  const struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  if (!poller->is_coarse) {
    const long count = syscall(SYS_epoll_pwait2, poller->poller, events, limit, nanoseconds < 0 ? NULL : &time, NULL, 0);
    // A filter of system calls may not know this one, and returns EPERM.
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return (int)count;
    poller->is_coarse = true;
  }
  const int64_t milliseconds = (nanoseconds + 999999) / 1000000;
  return epoll_wait(poller->poller, events, limit, nanoseconds < 0 ? -1 : milliseconds > 86400000 ? 86400000 : (int)milliseconds);
}

int czssp_poller_wait(czssp_poller *poller, czssp_readiness *ready, int capacity, int64_t nanoseconds) {
  struct epoll_event events[64];
  const int limit = capacity < 64 ? capacity : 64;
  const int count = wait_for(poller, events, limit, nanoseconds);
  if (count < 0) return -errno;
  int found = 0;
  for (int index = 0; index < count; index++) {
    if (events[index].data.u64 == waking) {
      uint64_t times;
      // EAGAIN and EINTR are no failures: the wake-up has happened in any case.
      if (read(poller->waker, &times, sizeof times) < 0 && errno != EAGAIN && errno != EINTR) return -errno;
      continue;
    }
    ready[found++] = (czssp_readiness){
        .tag = events[index].data.u64,
        .can_write = (events[index].events & EPOLLOUT) != 0,
        // An error of the socket is reported by the next read.
        .can_read = (events[index].events & ~(uint32_t)EPOLLOUT) != 0,
    };
  }
  return found;
}

#endif
