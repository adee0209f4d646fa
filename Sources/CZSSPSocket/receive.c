// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>

#include "address.h"

/// The distance of the buffers. It is no power of two, so that the datagrams do not fall on the same lines of the cache.
enum { capacity = 1 << 16, distance = capacity + 65 * 64 };

struct slot {
  struct iovec vector;
  union czssp_sockaddr name;
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
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

static uint16_t segment_size(struct msghdr *header, uint32_t length) {
  for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO) continue;
    int size = 0;
    memcpy(&size, CMSG_DATA(control), sizeof size);
    return size > 0 && (uint32_t)size < length ? (uint16_t)size : 0;
  }
  return 0;
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
    const uint32_t length = receiver->headers[index].msg_len;
    czssp_read_address(&slot->name, &slot->incoming.source);
    slot->incoming.length = length;
    slot->incoming.segment_size = segment_size(&receiver->headers[index].msg_hdr, length);
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
