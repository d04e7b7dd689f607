package rdb

// decompress appends to out the n bytes that the LZF-compressed data stands for. It reports false, and no more than n bytes, when the data
// stands for something else.
//
// A first byte below 32 announces a run of literal bytes, one more than it says. Any other is a copy of what was put out before: three bits
// of length (7: another byte adds to it), thirteen bits of distance.
func decompress(out, data []byte, n int) ([]byte, bool) {
	begin := len(out)
	for len(data) > 0 {
		control := int(data[0])
		data = data[1:]
		if control < 32 {
			run := control + 1
			if run > len(data) || len(out)-begin+run > n {
				return out, false
			}
			out = append(out, data[:run]...)
			data = data[run:]
			continue
		}
		run := control >> 5
		if run == 7 {
			if len(data) == 0 {
				return out, false
			}
			run += int(data[0])
			data = data[1:]
		}
		run += 2
		if len(data) == 0 {
			return out, false
		}
		from := len(out) - (control&31)<<8 - int(data[0]) - 1
		data = data[1:]
		if from < begin || len(out)-begin+run > n {
			return out, false
		}
		for ; run > 0; run-- { // one at a time: source and destination may overlap
			out = append(out, out[from])
			from++
		}
	}
	return out, len(out)-begin == n
}
