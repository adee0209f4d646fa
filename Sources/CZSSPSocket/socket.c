// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include "CZSSPSocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

int czssp_udp_open(const czssp_address *address, bool join, czssp_address *bound) {
  union czssp_sockaddr name;
  socklen_t size = czssp_write_address(address, &name);
  int fd = socket(name.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const int on = 1, off = 0;
  if (join && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) goto failed;
  if (name.any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0) goto failed;
  if (bind(fd, &name.any, size) < 0) goto failed;
  size = sizeof name;
  if (getsockname(fd, &name.any, &size) < 0) goto failed;
  czssp_read_address(&name, bound);
  return fd;

failed:;
  int error = errno;
  close(fd);
  return -error;
}

int czssp_udp_share(int socket) {
  const int on = 1;
  return setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ? -errno : 0;
}

void czssp_close(int socket) { close(socket); }

static void set_buffer(int socket, int forced, int usual, int size) {
  if (size <= 0) return;
  // With CAP_NET_ADMIN the kernel gives what is asked for. Without, it caps what it gives, and says nothing.
  if (setsockopt(socket, SOL_SOCKET, forced, &size, sizeof size) < 0) setsockopt(socket, SOL_SOCKET, usual, &size, sizeof size);
}

void czssp_udp_set_buffers(int socket, int receive, int send) {
  set_buffer(socket, SO_RCVBUFFORCE, SO_RCVBUF, receive);
  set_buffer(socket, SO_SNDBUFFORCE, SO_SNDBUF, send);
}

uint32_t czssp_udp_drops(int socket) {
  // Of <linux/sock_diag.h>, in which the drops come last.
  enum { meminfo_drops = 8, meminfo_count = 9 };
  uint32_t values[meminfo_count] = {0};
  socklen_t size = sizeof values;
  // Linux before 4.12 does not tell.
  if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, values, &size) < 0) return 0;
  return values[meminfo_drops];
}

int czssp_udp_enable_receive_offload(int socket) {
  const int on = 1;
  return setsockopt(socket, IPPROTO_UDP, UDP_GRO, &on, sizeof on) < 0 ? -errno : 0;
}

bool czssp_udp_can_segment(int socket) {
  int size = 0;
  socklen_t length = sizeof size;
  return getsockopt(socket, IPPROTO_UDP, UDP_SEGMENT, &size, &length) == 0;
}

#endif
