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

int czssp_find_group(const char *name, uint32_t *group) {
  char buffer[16384];
  struct group entry, *found = NULL;
  const int error = getgrnam_r(name, &entry, buffer, sizeof buffer, &found);
  if (error) return -error;
  if (!found) return -ENOENT;
  *group = found->gr_gid;
  return 0;
}

#if defined(__linux__)

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/// The user and group for the threads that get the signal.
static volatile uint32_t wanted_user, wanted_group;

static void become(int signal) {
  (void)signal;
  const int saved = errno;
  const gid_t group = wanted_group;
  // System calls for this thread only, because the C library's functions act on all threads. The
  // result is checked from outside.
  syscall(SYS_setgroups, 1, &group);
  syscall(SYS_setresgid, group, group, group);
  syscall(SYS_setresuid, wanted_user, wanted_user, wanted_user);
  errno = saved;
}

/// Returns true if a thread has only this user as real, effective, saved and file system user.
static bool is_user(const char *thread, unsigned user) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/self/task/%.20s/status", thread);
  FILE *file = fopen(path, "re");
  // The thread has ended.
  if (!file) return true;
  bool is = false;
  while (fgets(line, sizeof line, file)) {
    unsigned ids[4];
    if (sscanf(line, "Uid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) != 4) continue;
    is = ids[0] == user && ids[1] == user && ids[2] == user && ids[3] == user;
    break;
  }
  fclose(file);
  return is;
}

/// Signals the threads that have another user, and returns their number.
static int tell_others(unsigned user, int signal) {
  DIR *threads = opendir("/proc/self/task");
  if (!threads) return -errno;
  int others = 0;
  for (struct dirent *entry; (entry = readdir(threads));) {
    if (entry->d_name[0] == '.' || is_user(entry->d_name, user)) continue;
    others++;
    syscall(SYS_tgkill, getpid(), atoi(entry->d_name), signal);
  }
  closedir(threads);
  return others;
}

/// Changes the threads that the C library skips because it considers them ended, such as a main
/// thread that the program left to libdispatch. It would sleep on with all privileges, and an
/// attacker who takes over the process could use them.
static int become_everywhere(uint32_t user, uint32_t group) {
  struct sigaction action = {.sa_handler = become}, former;
  const int signal = SIGRTMAX - 1;
  wanted_user = user;
  wanted_group = group;
  if (sigaction(signal, &action, &former) < 0) return -errno;
  int others = -EPERM;
  for (int attempt = 0; attempt < 200; attempt++) {
    others = tell_others(user, signal);
    if (others <= 0) break;
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
  }
  sigaction(signal, &former, NULL);
  return others > 0 ? -EPERM : others;
}

int czssp_may_write(uint32_t user, uint32_t group, const char *path) {
  const pid_t child = fork();
  if (child < 0) return -errno;
  if (child == 0) {
    // Only system calls are safe here, because other threads may have held any lock.
    const gid_t groups = group;
    const bool is_user = syscall(SYS_setgroups, 1, &groups) == 0 && syscall(SYS_setresgid, group, group, group) == 0 &&
                         syscall(SYS_setresuid, user, user, user) == 0;
    if (!is_user) _exit(2);
    struct stat found;
    const bool is_folder = stat(path, &found) == 0 && S_ISDIR(found.st_mode);
    _exit(access(path, is_folder ? W_OK | X_OK : W_OK) == 0);
  }
  int status;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) < 2 ? WEXITSTATUS(status) : -EPERM;
}

int czssp_become(uint32_t user, uint32_t group) {
  // Groups go first, because they cannot be changed without privileges.
  if (setgroups(1, &group) < 0) return -errno;
  if (setresgid(group, group, group) < 0) return -errno;
  if (setresuid(user, user, user) < 0) return -errno;
  return become_everywhere(user, group);
}

#else

int czssp_may_write(uint32_t user, uint32_t group, const char *path) { return -ENOSYS; }

int czssp_become(uint32_t user, uint32_t group) {
  if (setgroups(1, (const gid_t *)&group) < 0) return -errno;
  if (setregid(group, group) < 0) return -errno;
  if (setreuid(user, user) < 0) return -errno;
  return 0;
}

#endif
