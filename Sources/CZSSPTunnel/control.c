// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "CZSSPTunnel.h"

/// The time after which a connection without progress is closed.
enum { patience_seconds = 10 };

static int make_socket(const char *path, struct sockaddr_un *name) {
  *name = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof name->sun_path) return -ENAMETOOLONG;
  strcpy(name->sun_path, path);
  const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
  if (descriptor < 0) return -errno;
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return descriptor;
}

static int fail(int descriptor) {
  const int error = errno;
  close(descriptor);
  return -error;
}

static void bound_waiting(int descriptor) {
  const struct timeval limit = {.tv_sec = patience_seconds};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int czssp_control_connect(const char *path) {
  struct sockaddr_un name;
  const int descriptor = make_socket(path, &name);
  if (descriptor < 0) return descriptor;
  if (connect(descriptor, (const struct sockaddr *)&name, sizeof name) < 0) return fail(descriptor);
  bound_waiting(descriptor);
  return descriptor;
}

int czssp_control_listen(const char *path, int64_t group) {
  const int other = czssp_control_connect(path);
  if (other >= 0) {
    close(other);
    return -EADDRINUSE;
  }
  struct sockaddr_un name;
  const int descriptor = make_socket(path, &name);
  if (descriptor < 0) return descriptor;
  if (unlink(path) < 0 && errno != ENOENT) return fail(descriptor);
  if (bind(descriptor, (const struct sockaddr *)&name, sizeof name) < 0) return fail(descriptor);
  // No process can connect before this socket listens, so none can use it with other permissions.
  if (chmod(path, 0600) < 0) return fail(descriptor);
  if (group >= 0 && (lchown(path, (uid_t)-1, (gid_t)group) < 0 || chmod(path, 0660) < 0)) return fail(descriptor);
  if (listen(descriptor, 32) < 0) return fail(descriptor);
  return descriptor;
}

int czssp_control_accept(int descriptor) {
  int client;
  do {
    client = accept(descriptor, NULL, NULL);
  } while (client < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (client < 0) return -errno;
  fcntl(client, F_SETFD, FD_CLOEXEC);
  bound_waiting(client);
  return client;
}
