// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>

#include "address.h"

/// The distance between the buffers. It is not a power of two, so that the datagrams do not map to
/// the same cache lines.
enum { capacity = 1 << 16, distance = capacity + 65 * 64 };

struct slot {
  struct iovec vector;
  union czssp_sockaddr name;
  _Alignas(struct cmsghdr) char control[2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
  czssp_incoming incoming;
};

struct czssp_receiver {
  int count;
  struct mmsghdr *headers;
  struct slot *slots;
  char *buffers;
};

czssp_receiver *czssp_receiver_create(int count) {
  czssp_receiver *receiver = calloc(1, sizeof *receiver);
  if (!receiver) return NULL;
  receiver->count = count;
  receiver->headers = calloc((size_t)count, sizeof *receiver->headers);
  receiver->slots = calloc((size_t)count, sizeof *receiver->slots);
  receiver->buffers = malloc((size_t)count * distance);
  if (receiver->headers && receiver->slots && receiver->buffers) return receiver;
  czssp_receiver_destroy(receiver);
  return NULL;
}

void czssp_receiver_destroy(czssp_receiver *receiver) {
  if (!receiver) return;
  free(receiver->headers);
  free(receiver->slots);
  free(receiver->buffers);
  free(receiver);
}

static void prepare(czssp_receiver *receiver, int index) {
  struct slot *slot = &receiver->slots[index];
  slot->vector = (struct iovec){.iov_base = czssp_receiver_bytes(receiver, index), .iov_len = capacity};
  receiver->headers[index].msg_hdr = (struct msghdr){
      .msg_name = &slot->name,
      .msg_namelen = sizeof slot->name,
      .msg_iov = &slot->vector,
      .msg_iovlen = 1,
      .msg_control = slot->control,
      .msg_controllen = sizeof slot->control,
  };
}

static void read_local_v4(const struct cmsghdr *control, czssp_local *local) {
  struct in_pktinfo info;
  memcpy(&info, CMSG_DATA(control), sizeof info);
  // A broadcast is answered from the address of the interface.
  *local = (czssp_local){.low = ntohl(info.ipi_spec_dst.s_addr), .family = 4};
}

static void read_local_v6(const struct cmsghdr *control, czssp_local *local) {
  struct in6_pktinfo info;
  memcpy(&info, CMSG_DATA(control), sizeof info);
  // A multicast is answered from the address that the system chooses.
  if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) return;
  uint64_t halves[2];
  memcpy(halves, &info.ipi6_addr, sizeof halves);
  if (IN6_IS_ADDR_V4MAPPED(&info.ipi6_addr) && IN_MULTICAST((uint32_t)__builtin_bswap64(halves[1]))) return;
  *local = (czssp_local){.high = __builtin_bswap64(halves[0]), .low = __builtin_bswap64(halves[1]), .family = 6};
  if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) local->interface = (uint32_t)info.ipi6_ifindex;
}

/// Reads the control messages of a piece.
static void read_control(struct msghdr *header, czssp_incoming *incoming) {
  for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
    const int level = control->cmsg_level, type = control->cmsg_type;
    if (level == IPPROTO_UDP && type == UDP_GRO) {
      int size = 0;
      memcpy(&size, CMSG_DATA(control), sizeof size);
      if (size > 0 && (uint32_t)size < incoming->length) incoming->segment_size = (uint16_t)size;
    } else if (level == IPPROTO_IP && type == IP_PKTINFO) {
      read_local_v4(control, &incoming->local);
    } else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO) {
      read_local_v6(control, &incoming->local);
    } else if (level == IPPROTO_IP && type == IP_TOS) {
      memcpy(&incoming->traffic_class, CMSG_DATA(control), sizeof incoming->traffic_class);
    } else if (level == IPPROTO_IPV6 && type == IPV6_TCLASS) {
      int value = 0;
      memcpy(&value, CMSG_DATA(control), sizeof value);
      incoming->traffic_class = (uint8_t)value;
    }
  }
}

int czssp_receiver_fill(czssp_receiver *receiver, int socket) {
  for (int index = 0; index < receiver->count; index++) prepare(receiver, index);
  int count;
  do {
    count = recvmmsg(socket, receiver->headers, (unsigned)receiver->count, MSG_DONTWAIT, NULL);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return -errno;
  for (int index = 0; index < count; index++) {
    struct slot *slot = &receiver->slots[index];
    slot->incoming = (czssp_incoming){.length = receiver->headers[index].msg_len};
    czssp_read_address(&slot->name, &slot->incoming.source);
    read_control(&receiver->headers[index].msg_hdr, &slot->incoming);
  }
  return count;
}

const czssp_incoming *czssp_receiver_piece(const czssp_receiver *receiver, int index) {
  return &receiver->slots[index].incoming;
}

void *czssp_receiver_bytes(const czssp_receiver *receiver, int index) {
  return receiver->buffers + (size_t)index * distance;
}

#endif
