// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>

#include "address.h"

/// The number of pieces that one call passes to the kernel.
enum { at_once = 32 };

struct message {
  struct iovec vector;
  union czssp_sockaddr name;
  _Alignas(struct cmsghdr) char
      control[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

/// Appends a control message. The buffer must have room for it.
static void append(struct msghdr *header, int level, int type, const void *value, size_t size) {
  struct cmsghdr *control = (struct cmsghdr *)((char *)header->msg_control + header->msg_controllen);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(control), value, size);
  header->msg_controllen += CMSG_SPACE(size);
}

static void append_local(struct msghdr *header, const czssp_local *local) {
  if (local->family == 4) {
    const struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)local->low)};
    return append(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  }
  // An IPv6 socket accepts this for IPv4, too.
  struct in6_pktinfo info = {.ipi6_ifindex = local->interface};
  const uint64_t halves[2] = {__builtin_bswap64(local->high), __builtin_bswap64(local->low)};
  memcpy(&info.ipi6_addr, halves, sizeof halves);
  append(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

static void append_class(struct msghdr *header, const czssp_outgoing *piece) {
  const int value = piece->traffic_class;
  const bool is_v4 = piece->address.family == 4 || (piece->address.high == 0 && piece->address.low >> 32 == 0xFFFF);
  append(header, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TOS : IPV6_TCLASS, &value, sizeof value);
}

static void prepare(const czssp_outgoing *piece, struct message *message, struct msghdr *header) {
  message->vector = (struct iovec){.iov_base = (void *)piece->bytes, .iov_len = piece->length};
  *header = (struct msghdr){
      .msg_name = &message->name,
      .msg_namelen = czssp_write_address(&piece->address, &message->name),
      .msg_iov = &message->vector,
      .msg_iovlen = 1,
  };
  if (piece->segment_size == 0 && !piece->local && piece->traffic_class == 0) return;
  header->msg_control = message->control;
  if (piece->segment_size > 0) append(header, IPPROTO_UDP, UDP_SEGMENT, &piece->segment_size, sizeof(uint16_t));
  if (piece->local) append_local(header, piece->local);
  if (piece->traffic_class != 0) append_class(header, piece);
}

int czssp_udp_send(int socket, const czssp_outgoing *pieces, int count, int *sent) {
  struct message messages[at_once];
  struct mmsghdr headers[at_once];
  *sent = 0;
  while (*sent < count) {
    const int batch = count - *sent < at_once ? count - *sent : at_once;
    for (int index = 0; index < batch; index++) {
      prepare(&pieces[*sent + index], &messages[index], &headers[index].msg_hdr);
    }
    const int taken = batch == 1 ? (sendmsg(socket, &headers[0].msg_hdr, 0) < 0 ? -1 : 1)
                                 : sendmmsg(socket, headers, (unsigned)batch, 0);
    if (taken < 0) {
      if (errno == EINTR) continue;
      return -errno;
    }
    *sent += taken;
  }
  return 0;
}

#endif
