// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "CZSSPTunnel.h"

int czssp_find_user(const char *name, uint32_t *user, uint32_t *group) {
  char buffer[4096];
  struct passwd entry, *found = NULL;
  const int error = getpwnam_r(name, &entry, buffer, sizeof buffer, &found);
  if (error) return -error;
  if (!found) return -ENOENT;
  *user = found->pw_uid;
  *group = found->pw_gid;
  return 0;
}

int czssp_become(uint32_t user, uint32_t group) {
  // Groups go first: without privileges they could not be given up. The C library tells all threads.
  if (setgroups(1, &group) < 0) return -errno;
#if defined(__linux__)
  if (setresgid(group, group, group) < 0) return -errno;
  if (setresuid(user, user, user) < 0) return -errno;
#else
  if (setregid(group, group) < 0) return -errno;
  if (setreuid(user, user) < 0) return -errno;
#endif
  return user != 0 && setuid(0) == 0 ? -EPERM : 0;
}

int czssp_wait(pid_t child) {
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
