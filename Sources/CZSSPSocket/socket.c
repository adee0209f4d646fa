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
  // With CAP_NET_ADMIN the kernel sets the requested size. Without, it silently limits the size.
  if (setsockopt(socket, SOL_SOCKET, forced, &size, sizeof size) < 0) setsockopt(socket, SOL_SOCKET, usual, &size, sizeof size);
}

void czssp_udp_set_buffers(int socket, int receive, int send) {
  set_buffer(socket, SO_RCVBUFFORCE, SO_RCVBUF, receive);
  set_buffer(socket, SO_SNDBUFFORCE, SO_SNDBUF, send);
}

uint32_t czssp_udp_drops(int socket) {
  // From <linux/sock_diag.h>, where the drops are the last value.
  enum { meminfo_drops = 8, meminfo_count = 9 };
  uint32_t values[meminfo_count] = {0};
  socklen_t size = sizeof values;
  // Linux before 4.12 does not report it.
  if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, values, &size) < 0) return 0;
  return values[meminfo_drops];
}

int czssp_udp_enable_receive_offload(int socket) {
  const int on = 1;
  return setsockopt(socket, IPPROTO_UDP, UDP_GRO, &on, sizeof on) < 0 ? -errno : 0;
}

/// Sets an option for IPv4, and also for IPv6 if it is an IPv6 socket.
static int set_both(int socket, int v4, int v4_value, int v6, int v6_value) {
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0) return -errno;
  // An IPv6 socket that also reaches IPv4 has both options.
  if (family == AF_INET6 && setsockopt(socket, IPPROTO_IPV6, v6, &v6_value, sizeof v6_value) < 0) return -errno;
  return setsockopt(socket, IPPROTO_IP, v4, &v4_value, sizeof v4_value) < 0 && family == AF_INET ? -errno : 0;
}

int czssp_udp_report_local(int socket) {
  int family = 0;
  socklen_t size = sizeof family;
  const int on = 1;
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0) return -errno;
  // An IPv6 socket reports IPv4 addresses in IPv6 form.
  const int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  const int option = family == AF_INET6 ? IPV6_RECVPKTINFO : IP_PKTINFO;
  return setsockopt(socket, level, option, &on, sizeof on) < 0 ? -errno : 0;
}

int czssp_udp_report_traffic_class(int socket) { return set_both(socket, IP_RECVTOS, 1, IPV6_RECVTCLASS, 1); }

int czssp_udp_forbid_fragments(int socket, bool forbidden) {
  return set_both(
      socket, IP_MTU_DISCOVER, forbidden ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT, IPV6_MTU_DISCOVER,
      forbidden ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT);
}

bool czssp_udp_can_segment(int socket) {
  int size = 0;
  socklen_t length = sizeof size;
  return getsockopt(socket, IPPROTO_UDP, UDP_SEGMENT, &size, &length) == 0;
}

#endif
