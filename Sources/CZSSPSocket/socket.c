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

void czssp_udp_set_buffers(int socket, int receive, int send) {
  // The kernel caps what it gives, and says nothing.
  if (receive > 0) setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
  if (send > 0) setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
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
