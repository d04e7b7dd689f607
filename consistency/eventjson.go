package consistency

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// EventJSON returns the JSON object that JSONNotifier writes for an event, for notifiers that send it elsewhere. maxRows and maxBytes limit its rows; zero:
// DefaultReportRows and DefaultReportBytes.
func EventJSON(e Event, maxRows, maxBytes int) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(newReport(e, maxRows, maxBytes)); err != nil {
		return nil, fmt.Errorf("write the result of %s as JSON: %w", e.Check.Name, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
