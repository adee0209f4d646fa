// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "CZSSPTunnel.h"

int czssp_own_folder(const char *path, unsigned mode) {
  const bool is_new = mkdir(path, mode) == 0;
  if (!is_new && errno != EEXIST) return -errno;
  struct stat found;
  if (lstat(path, &found) < 0) return -errno;
  if (!S_ISDIR(found.st_mode)) return -ENOTDIR;
  const bool is_trusted = found.st_uid == 0 || found.st_uid == geteuid();
  if (!is_trusted || (found.st_mode & (S_IWGRP | S_IWOTH))) return -EPERM;
  // Sets the mode independently of the umask.
  if (is_new && chmod(path, mode) < 0) return -errno;
  return 0;
}

/// Returns true if the locked file is still the one at the path. A process removes its file when it
/// ends.
static bool is_current(const char *path, int descriptor) {
  struct stat held, found;
  return fstat(descriptor, &held) == 0 && lstat(path, &found) == 0 && held.st_dev == found.st_dev &&
         held.st_ino == found.st_ino;
}

int czssp_lock_file(const char *path) {
  while (true) {
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) return -errno;
    if (flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
      const int error = errno;
      close(descriptor);
      return -error;
    }
    if (is_current(path, descriptor)) return descriptor;
    close(descriptor);
  }
}
