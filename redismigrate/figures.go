package redismigrate

import "fmt"

// byteText writes bytes for a person: "512 B", "1.2 GiB".
func byteText(n int64) string {
	if n < 1024 && n > -1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), 0
	for value >= 1024 || value <= -1024 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit-1])
}
