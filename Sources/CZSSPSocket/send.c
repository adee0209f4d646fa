// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>

#include "address.h"

/// Pieces that go to the kernel with one call.
enum { at_once = 32 };

struct message {
  struct iovec vector;
  union czssp_sockaddr name;
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))];
};

static void prepare(const czssp_outgoing *piece, struct message *message, struct msghdr *header) {
  message->vector = (struct iovec){.iov_base = (void *)piece->bytes, .iov_len = piece->length};
  *header = (struct msghdr){
      .msg_name = &message->name,
      .msg_namelen = czssp_write_address(&piece->address, &message->name),
      .msg_iov = &message->vector,
      .msg_iovlen = 1,
  };
  if (piece->segment_size == 0) return;
  header->msg_control = message->control;
  header->msg_controllen = sizeof message->control;
  struct cmsghdr *control = CMSG_FIRSTHDR(header);
  control->cmsg_level = IPPROTO_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  memcpy(CMSG_DATA(control), &piece->segment_size, sizeof(uint16_t));
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
