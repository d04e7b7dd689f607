package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"regexp"

	"github.com/tashikame-go/tashikame/consistency"
)

// thread is what is known of the thread of an incident. As JSON it is the Receipt.
type thread struct {
	Version  int    `json:"v"`
	Channel  string `json:"channel"`
	TS       string `json:"ts"`
	Check    string `json:"check"`              // checkID
	Incident string `json:"incident,omitempty"` // empty: there is none, the outcome is unknown
	Shown    string `json:"shown,omitempty"`    // digest of the first message as it is displayed; empty: not known
	Missing  string `json:"missing,omitempty"`  // what could not be delivered and is still to be
	Closed   bool   `json:"closed,omitempty"`   // all is well, and that was said
}

const (
	receiptVersion = 1
	missingRows    = "rows"
	missingFile    = "file"
)

var timestamp = regexp.MustCompile(`^[0-9]{1,12}\.[0-9]{1,9}$`)

// maxReceipt bounds what is read as a Receipt.
const maxReceipt = 4 << 10

func (t thread) receipt() consistency.Receipt {
	t.Version = receiptVersion
	text, err := json.Marshal(t)
	if err != nil {
		return ""
	}
	return consistency.Receipt(text)
}

// parseReceipt reads what receipt wrote. The text of another notifier or a torn one is an error, which quotes none of it.
func parseReceipt(r consistency.Receipt) (thread, error) {
	var t thread
	if len(r) > maxReceipt || json.Unmarshal([]byte(r), &t) != nil || !channelID.MatchString(t.Channel) || !timestamp.MatchString(t.TS) {
		return thread{}, fmt.Errorf("slack: the receipt (%d bytes) is not one of this notifier: was it given another notifier's state?", len(r))
	}
	if t.Version != receiptVersion {
		return thread{}, fmt.Errorf("slack: the receipt was written by another version (%d) of this package; this one writes %d", t.Version, receiptVersion)
	}
	return t, nil
}

// digest is a short text that differs where the parts differ.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:", len(p))
		_, _ = io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
