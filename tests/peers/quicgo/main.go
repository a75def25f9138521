// A client of the bootstrap protocol on another QUIC library (quic-go): registers,
// reads its code from the file that `quicrig serve --lab --sms file:PATH` appends to,
// logs in, publishes, refreshes, publishes again. Exit 0 when every reply was as
// promised; prints one line a step.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	quic "github.com/lucas-clemente/quic-go"
)

var (
	server  = flag.String("server", "", "HOST:PORT")
	pki     = flag.String("pki", "", "folder made by quicrig pki")
	sms     = flag.String("sms", "", "file that the server writes SMS to")
	uuid    = flag.String("uuid", "", "device")
	kind    = flag.String("type", "thermometer", "deviceType")
	serial  = flag.String("serial", "0000000001", "serialId")
	imsi    = flag.String("imsi", "", "networkId")
	noCert  = flag.Bool("no-certificate", false, "show no client certificate: must be refused")
	badALPN = flag.Bool("wrong-alpn", false, "offer another ALPN: must be refused")
	noALPN  = flag.Bool("no-alpn", false, "offer none: must be refused")
	early   = flag.Bool("early", false, "try to send early data: there must be no ticket for it")
)

type object = map[string]interface{}

func fail(format string, a ...interface{}) {
	fmt.Printf("FAIL "+format+"\n", a...)
	os.Exit(1)
}

func random(n int) string {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		fail("random: %v", err)
	}
	return hex.EncodeToString(b)
}

func dial(ctx context.Context) (quic.Connection, error) {
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(*pki, "server-ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		fail("server CA: %v", err)
	}
	conf := &tls.Config{RootCAs: roots, NextProtos: []string{"iot-bootstrap/1"}, MinVersion: tls.VersionTLS13}
	if *badALPN {
		conf.NextProtos = []string{"something-else"}
	}
	if *noALPN {
		conf.NextProtos = nil
	}
	conf.ClientSessionCache = tickets
	if !*noCert {
		pair, err := tls.LoadX509KeyPair(filepath.Join(*pki, "fleet.pem"), filepath.Join(*pki, "fleet-key.pem"))
		if err != nil {
			fail("fleet certificate: %v", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	settings := &quic.Config{HandshakeIdleTimeout: 5 * time.Second}
	if *early {
		return quic.DialAddrEarlyContext(ctx, *server, conf, settings)
	}
	return quic.DialAddrContext(ctx, *server, conf, settings)
}

// What a server gives away for a next time: nothing, or a resumed handshake could carry early data.
type counted struct {
	cache tls.ClientSessionCache
	put   int32
}

func (c *counted) Get(key string) (*tls.ClientSessionState, bool) { return c.cache.Get(key) }

func (c *counted) Put(key string, state *tls.ClientSessionState) {
	if state != nil {
		atomic.AddInt32(&c.put, 1)
	}
	c.cache.Put(key, state)
}

var tickets = &counted{cache: tls.NewLRUClientSessionCache(8)}

// Twice as early as can be: with a ticket of the first time the second would carry its register
// in early data. It must not get one, and no request is handled before the handshake is complete.
func tryEarly() {
	for i := 0; i < 2; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		conn, err := dial(ctx)
		if err != nil {
			fail("early %d: %v", i, err)
		}
		reply, err := askOn(ctx, conn, "registerDevice", "", object{})
		expect("early, malformed on purpose", 400, reply, err)
		time.Sleep(200 * time.Millisecond) // a ticket would come behind the handshake
		state := conn.ConnectionState().TLS
		if state.DidResume || state.Used0RTT {
			fail("early %d: resumed %v, early data %v", i, state.DidResume, state.Used0RTT)
		}
		conn.CloseWithError(0, "")
	}
	if n := atomic.LoadInt32(&tickets.put); n != 0 {
		fail("the server gave %d session tickets", n)
	}
	fmt.Println("ok   no ticket, no early data")
}

func ask(resource, token string, payload object) (object, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.CloseWithError(0, "")
	return askOn(ctx, conn, resource, token, payload)
}

func askOn(ctx context.Context, conn quic.Connection, resource, token string, payload object) (object, error) {
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	stream.SetDeadline(time.Now().Add(8 * time.Second))
	body, _ := json.Marshal(object{"authentication": token, "resource": resource, "payload": payload, "nonce": random(16)})
	if _, err := stream.Write(body); err != nil {
		return nil, err
	}
	if err := stream.Close(); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(stream)
	if err != nil {
		return nil, err
	}
	var reply object
	if err := json.Unmarshal(text, &reply); err != nil {
		return nil, fmt.Errorf("%v in %q", err, text)
	}
	return reply, nil
}

func expect(step string, want float64, reply object, err error) object {
	if err != nil {
		fail("%s: %v", step, err)
	}
	if reply["code"] != want {
		fail("%s: code %v, not %v (%v)", step, reply["code"], want, reply["payload"])
	}
	fmt.Printf("ok   %-16s %v\n", step, want)
	payload, _ := reply["payload"].(object)
	return payload
}

// The code stands behind '#' in the last line of the newest SMS for this device.
func code() string {
	for try := 0; try < 50; try++ {
		f, err := os.Open(*sms)
		if err == nil {
			found := ""
			lines := bufio.NewScanner(f)
			for lines.Scan() {
				text := strings.ReplaceAll(lines.Text(), "\\n", "\n")
				at := strings.LastIndex(text, "@"+*uuid)
				if at < 0 {
					continue
				}
				if hash := strings.Index(text[at:], "#"); hash >= 0 {
					found = strings.FieldsFunc(text[at+hash+1:], func(r rune) bool { return r == ' ' || r == '"' || r == '\n' })[0]
				}
			}
			f.Close()
			if found != "" {
				return found
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	fail("no SMS for %s came", *uuid)
	return ""
}

func tokens(payload object) (string, string) {
	pair, _ := payload["tokens"].(object)
	access, _ := pair["accessToken"].(string)
	refresh, _ := pair["refreshToken"].(string)
	if access == "" || refresh == "" {
		fail("no tokens in %v", payload)
	}
	return access, refresh
}

func main() {
	flag.Parse()
	if *early {
		tryEarly()
		return
	}
	if *noCert || *badALPN || *noALPN {
		if _, err := ask("registerDevice", "", object{}); err == nil {
			fail("a client that must be refused was answered")
		} else {
			fmt.Printf("ok   refused          %v\n", err)
		}
		return
	}
	who := func(more object) object {
		more["uuid"], more["deviceType"], more["serialId"] = *uuid, *kind, *serial
		return more
	}
	registration := random(16)
	reply, err := ask("registerDevice", "", who(object{"networkType": "Mobile", "networkId": *imsi,
		"validationMethods": []string{"SMS"}, "registration": registration}))
	expect("register", 200, reply, err)
	reply, err = ask("login", "", who(object{"code": "AAAAAAAAAAAA", "registration": registration}))
	expect("login, wrong code", 401, reply, err)
	reply, err = ask("login", "", who(object{"code": code(), "registration": registration}))
	access, refresh := tokens(expect("login", 200, reply, err))
	measure := func(token string) (object, error) {
		return ask("publishMeasure", token, object{"uuid": *uuid, "deviceType": *kind, "measure": 21.5,
			"timestamp": time.Now().UnixMilli()})
	}
	reply, err = measure(access)
	expect("publish", 200, reply, err)
	reply, err = measure(refresh)
	expect("publish, refresh token", 401, reply, err)
	reply, err = ask("refreshToken", refresh, who(object{}))
	fresh, _ := tokens(expect("refresh", 200, reply, err))
	reply, err = measure(fresh)
	expect("publish again", 200, reply, err)
	reply, err = ask("registerDevice", "", who(object{"networkType": "Mobile", "networkId": "999999999999999",
		"validationMethods": []string{"SMS"}, "registration": random(16)}))
	expect("register, other IMSI", 403, reply, err)
}
