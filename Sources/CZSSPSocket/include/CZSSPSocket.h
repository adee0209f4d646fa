// SPDX-License-Identifier: Apache-2.0
#ifndef CZSSP_SOCKET_H
#define CZSSP_SOCKET_H

// What Linux has for many datagrams at once and Swift cannot import: vectored sends and receives, UDP segmentation and receive
// offload, and the steering of datagrams between sockets of one port. Functions answer a negative errno where they fail. On other systems
// there is nothing here.

#if defined(__linux__)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// An IP address and a port in host byte order. Of IPv4 (`family` 4) the low half's low 32 bits count.
typedef struct {
  uint64_t high;
  uint64_t low;
  uint32_t scope;
  uint16_t port;
  uint8_t family;
} czssp_address;

/// One of this host's own addresses, which datagrams come to and leave from. Of IPv4 (`family` 4) the low half's low 32 bits
/// count; `interface` is that of a link-local address, else 0; `family` 0 is none.
typedef struct {
  uint64_t high;
  uint64_t low;
  uint32_t interface;
  uint8_t family;
} czssp_local;

/// Datagrams of one size, the last may be shorter, for one address; at most 64 of them, and 65,507 bytes.
typedef struct {
  czssp_address address;
  const void *bytes;
  /// The address to send from; NULL leaves the choice to the system.
  const czssp_local *local;
  uint32_t length;
  /// The size of each datagram, or 0 if there is one.
  uint16_t segment_size;
  /// The type of service or traffic class: DSCP and ECN.
  uint8_t traffic_class;
} czssp_outgoing;

/// What came in one piece: a datagram, or several that the kernel put together.
typedef struct {
  czssp_address source;
  /// The address that it came to; none unless czssp_udp_report_local was called.
  czssp_local local;
  uint32_t length;
  /// The size of each datagram, or 0 if there is one.
  uint16_t segment_size;
  /// The type of service or traffic class; 0 unless czssp_udp_report_traffic_class was called.
  uint8_t traffic_class;
} czssp_incoming;

/// Opens a non-blocking UDP socket that is closed on exec, and binds it. An IPv6 socket that is bound to :: takes IPv4 too.
///
/// @param join whether to join sockets of the same port that czssp_udp_share was called for. Otherwise the port must be free.
/// @param bound where the socket is bound.
/// @return the file descriptor.
int czssp_udp_open(const czssp_address *address, bool join, czssp_address *bound);

/// Lets other sockets of the same user join this one's port (SO_REUSEPORT).
int czssp_udp_share(int socket);

void czssp_close(int socket);

/// Asks for buffers of these sizes in bytes; 0 leaves one as it is. Without CAP_NET_ADMIN the kernel may give less.
void czssp_udp_set_buffers(int socket, int receive, int send);

/// How many datagrams the kernel dropped because the socket's buffer was full; several that came together count as one. 0 if it does not
/// tell.
uint32_t czssp_udp_drops(int socket);

/// Has the kernel hand over several datagrams of one sender at once (UDP GRO).
int czssp_udp_enable_receive_offload(int socket);

/// Has the kernel say which address each datagram came to (IP_PKTINFO, IPV6_RECVPKTINFO).
int czssp_udp_report_local(int socket);

/// Has the kernel say with which type of service or traffic class each datagram came.
int czssp_udp_report_traffic_class(int socket);

/// Sends all datagrams with "don't fragment", whatever ICMP says of their path, or all without.
int czssp_udp_forbid_fragments(int socket, bool forbidden);

/// Whether the kernel can cut datagrams out of one piece (UDP GSO).
bool czssp_udp_can_segment(int socket);

/// Has the kernel choose among twice `shards` sockets of this one's port, in the order in which they were bound. A datagram comes to one of
/// the first half by the low bits of its first four bytes, a key id; if these are all zero, as a Hello's are, to one of the
/// second half by its source. `shards` is a power of two.
int czssp_udp_steer(int socket, uint32_t shards);

/// Sends pieces until one is refused.
///
/// @param sent how many were taken.
/// @return 0, or the error of the first that was not taken.
int czssp_udp_send(int socket, const czssp_outgoing *pieces, int count, int *sent);

/// Buffers to receive into.
typedef struct czssp_receiver czssp_receiver;

/// Buffers for `count` pieces, of 64 KiB each, which nothing that UDP brings exceeds; NULL without memory.
czssp_receiver *czssp_receiver_create(int count);
void czssp_receiver_destroy(czssp_receiver *receiver);

/// Receives as many pieces as there are and as there are buffers.
///
/// @return how many there were; -EAGAIN if none.
int czssp_receiver_fill(czssp_receiver *receiver, int socket);

/// What came in a piece, and its bytes, until the buffers are filled again.
const czssp_incoming *czssp_receiver_piece(const czssp_receiver *receiver, int index);
void *czssp_receiver_bytes(const czssp_receiver *receiver, int index);

/// Waits for sockets (epoll).
typedef struct czssp_poller czssp_poller;

/// What can be done with a socket now.
typedef struct {
  uint64_t tag;
  bool can_read;
  bool can_write;
} czssp_readiness;

/// NULL without memory or descriptors.
czssp_poller *czssp_poller_create(void);

void czssp_poller_destroy(czssp_poller *poller);

/// Watches a descriptor for reading, under a tag other than 0.
int czssp_poller_add(czssp_poller *poller, int descriptor, uint64_t tag);

/// Watches for these from now on.
int czssp_poller_change(czssp_poller *poller, int descriptor, uint64_t tag, bool reading, bool writing);
int czssp_poller_remove(czssp_poller *poller, int descriptor);

/// Has czssp_poller_wait return, now or when it is called next. For any thread.
void czssp_poller_wake(czssp_poller *poller);

/// Waits until a descriptor is ready, somebody wakes, or the time is over; -1 is for ever. The kernel adds its timer slack to the time.
///
/// @return how many are ready, perhaps none.
int czssp_poller_wait(czssp_poller *poller, czssp_readiness *ready, int capacity, int64_t nanoseconds);

/// Lets the calling thread run on `count` processors from `first` on, for measurements.
int czssp_pin_thread(int first, int count);

/// Has the calling thread give way to others, 0 not at all, 19 most, and never less than it does. Without privileges that cannot be
/// undone.
int czssp_nice_thread(int value);

/// Has the calling thread run as soon as it wakes up, for it never runs long. It gets no larger share of the processor for it. For
/// people, it is called `name`, at most 15 characters.
int czssp_prompt_thread(const char *name);

#endif
#endif
