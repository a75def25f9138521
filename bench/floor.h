/* What one bootstrap cannot do without, measured in the same run with the fastest
 * library on the machine (OpenSSL's EVP): the floor that every figure is printed beside. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#define FLOOR_PACKET 200

/* µs of CPU each, the best of several rounds. */
struct floor {
	double rsa_sign, rsa_verify;       /* RSA-2048 PKCS #1 v1.5 SHA-256: RS256 */
	double ed25519_sign, ed25519_verify;
	double x25519_key, x25519_derive;
	double packet; /* a QUIC packet of FLOOR_PACKET bytes sealed and opened: AES-128-GCM, two header masks */
	double commit_cpu, commit_wall;    /* one SQLite transaction, synchronous=FULL, in `dir` */
};

int floor_measure(struct floor *f, const char *dir);

/* CPU-µs of the cryptography of `handshakes` full mutual handshakes, `signs` RS256
 * signatures and `verifies` verifications: server and device side apart. */
double floor_handshake_server(const struct floor *f);
double floor_handshake_device(const struct floor *f);

#endif
