// Package zkproxy is a network between one client and its ZooKeeper servers, for
// tests: every connection goes through a TCP proxy on 127.0.0.1, and all of them
// fail together.
//
// It knows just enough of ZooKeeper's protocol to tell requests apart: it counts
// them, and it holds back or loses one that a test names by its [Op] and number,
// or the answer to it, though a client sends many in one write. It notes the
// sessions of the client, so that a test can end one as its owner could.
//
// It does not encrypt, it does not read what is in a request, and it knows
// nothing of the words that operators send instead of a handshake.
package zkproxy
