package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of each request.
const (
	// HeaderEvent is the kind of the event ("opened", "resolved", …), or "digest".
	HeaderEvent = "Tashikame-Event"
	// HeaderIdempotencyKey is the same for each try to deliver the same event: a receiver that has seen it has the event already.
	HeaderIdempotencyKey = "Idempotency-Key"
	// HeaderTimestamp is when the request was signed, in seconds since 1970.
	HeaderTimestamp = "Tashikame-Timestamp"
	// HeaderSignature is "v1=" and, in hexadecimal digits, HMAC-SHA256 of the timestamp, a full stop and the body under Notifier.Secret.
	HeaderSignature = "Tashikame-Signature"
)

func signature(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, timestamp+".")
	_, _ = mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

func sign(h http.Header, secret string, at time.Time, body []byte) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, signature(secret, timestamp, body))
}

// Verify is for receivers: it returns an error unless the request was signed with the secret no longer than maxAge ago. Read the body before you parse it; a
// timestamp that is refused keeps a request from being replayed later.
func Verify(secret string, h http.Header, body []byte, maxAge time.Duration) error {
	if secret == "" {
		return errors.New("webhook: there is no secret to verify the signature with")
	}
	timestamp := h.Get(HeaderTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("webhook: the request has no %s that is a number of seconds: it is not signed", HeaderTimestamp)
	}
	if !hmac.Equal([]byte(signature(secret, timestamp, body)), []byte(h.Get(HeaderSignature))) {
		return fmt.Errorf("webhook: the %s does not fit: the secret is another one, or the body was changed", HeaderSignature)
	}
	if age := time.Since(time.Unix(seconds, 0)); age > maxAge || age < -maxAge {
		return fmt.Errorf("webhook: the request was signed %s ago, and %s are allowed: it is a replay, or a clock is wrong", age.Round(time.Second), maxAge)
	}
	return nil
}

// idempotencyKey is a text of 32 hexadecimal digits that is the same for the same parts.
func idempotencyKey(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// drain reads what is left of a bounded answer, so that the connection can be used again.
func drain(body io.Reader) { _, _ = io.Copy(io.Discard, body) }
