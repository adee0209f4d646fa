// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "CZSSPTunnel.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

extern char **environ;

/// Sets up the child's descriptors. Missing standard descriptors become /dev/null; a missing extra
/// one stays closed.
static int add_descriptors(posix_spawn_file_actions_t *actions, const int descriptors[czssp_descriptor_count]) {
  for (int index = 0; index < czssp_descriptor_count; index++) {
    int error = 0;
    if (descriptors[index] >= 0) {
      error = posix_spawn_file_actions_adddup2(actions, descriptors[index], index);
    } else if (index <= STDERR_FILENO) {
      error = posix_spawn_file_actions_addopen(actions, index, "/dev/null", index == 0 ? O_RDONLY : O_WRONLY, 0);
    }
    if (error) return error;
  }
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  const bool has_extra = descriptors[czssp_descriptor_count - 1] >= 0;
  return posix_spawn_file_actions_addclosefrom_np(actions, has_extra ? czssp_descriptor_count : czssp_descriptor_count - 1);
#else
  // All descriptors of this process are closed on exec.
  return 0;
#endif
}

/// Resets signal handling in the child: no signal is caught, ignored or blocked.
static int add_signals(posix_spawnattr_t *attributes) {
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int error = posix_spawnattr_setsigdefault(attributes, &all);
  if (!error) error = posix_spawnattr_setsigmask(attributes, &none);
  if (!error) error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  return error;
}

int czssp_spawn(const char *path, char *const arguments[], const int descriptors[czssp_descriptor_count]) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (posix_spawn_file_actions_init(&actions)) return -ENOMEM;
  if (posix_spawnattr_init(&attributes)) {
    posix_spawn_file_actions_destroy(&actions);
    return -ENOMEM;
  }
  int error = add_descriptors(&actions, descriptors);
  if (!error) error = add_signals(&attributes);
  pid_t child = -1;
  if (!error) error = posix_spawn(&child, path, &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error ? -error : child;
}

int czssp_wait(int child) {
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int czssp_memory_file(void) {
#if defined(__linux__)
  const int descriptor = memfd_create("zssp", MFD_CLOEXEC);
  if (descriptor >= 0) return descriptor;
#endif
  // For systems without files in memory.
  FILE *file = tmpfile();
  if (!file) return -errno;
  const int copy = fcntl(fileno(file), F_DUPFD_CLOEXEC, 3);
  const int error = errno;
  fclose(file);
  return copy < 0 ? -error : copy;
}
