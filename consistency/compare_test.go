package consistency

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// neutral reads a text as a kind.
func neutral(t testing.TB, kind Kind, text string) []byte {
	r := cellReader{kind: kind}
	b, err := r.append([]byte{}, []byte(text))
	require.NoError(t, err, "%q as %s", text, kind)
	return b
}

func TestNeutralFormsOfNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "00": "0", "-0.00": "0", "+1": "1", "007": "7", "1.50": "1.5", ".5": "0.5", "5.": "5", "1e2": "100", "1.25e1": "12.5", "125e-2": "1.25", "1e-3": "0.001", "-12E+1": "-120",
		"18446744073709551616": "18446744073709551616", "0.0e400": "0",
	} {
		require.Equal(t, want, string(neutral(t, KindDecimal, text)), text)
	}
	for _, text := range []string{"", "-", ".", "e1", "1e", "1,5", " 1", "1 ", "0x10", "NaN", "--1", "1e401", "1_000", "١"} {
		_, err := (&cellReader{kind: KindDecimal}).append(nil, []byte(text))
		require.ErrorIs(t, err, errNoDecimal, "%q", text)
		_, err = (&cellReader{kind: KindInteger}).append(nil, []byte(text))
		require.ErrorIs(t, err, errNoInteger, "%q", text)
	}
}

func TestFloatsThatAreNoNumbers(t *testing.T) {
	nan, inf, minus := neutral(t, KindFloat, "NaN"), neutral(t, KindFloat, "Infinity"), neutral(t, KindFloat, "-inf")
	for i, a := range [][]byte{nan, inf, minus, neutral(t, KindFloat, "0"), nil} {
		for j, b := range [][]byte{nan, inf, minus, neutral(t, KindFloat, "-0.0"), nil} {
			same, err := sameCell(KindFloat, &Column{Tolerance: math.MaxFloat64}, a, b)
			require.NoError(t, err)
			require.Equal(t, i == j, same, "%s %s", a, b)
		}
	}
}

func TestAClockThatMayHaveBeenMovedByTheDriverIsAnError(t *testing.T) {
	berlin := mustLoad("Europe/Berlin")
	for wall, moved := range map[string]bool{
		"2026-03-29 00:59:59": false, "2026-03-29 01:30:00": true, "2026-03-29 02:30:00": true, "2026-03-29 03:30:00": true, "2026-03-29 04:00:00": false,
		"2026-10-25 02:30:00": false, "2026-07-01 12:00:00": false,
	} {
		at, err := time.ParseInLocation(time.DateTime, wall, berlin)
		require.NoError(t, err)
		c := clockCell{name: "at"}
		err = c.Scan(at)
		if moved {
			require.ErrorContains(t, err, "remove loc from the DSN", wall)
			continue
		}
		require.NoError(t, err, wall)
		got, err := appendTime(nil, c.raw, resolvedColumn{wall: true}, nil)
		require.NoError(t, err)
		require.Equal(t, wall, string(got))
	}
}

func TestJSONThatIsNone(t *testing.T) {
	for _, text := range []string{"", "{", "1 2", "nul", "{'a': 1}", "\"\xff\"", "[1,]"} {
		_, err := (&cellReader{kind: KindJSON}).append(nil, []byte(text))
		require.Error(t, err, "%q", text)
	}
	_, err := sameCell(KindJSON, &Column{}, []byte(`"\ud800"`), []byte(`"\udfff"`))
	require.ErrorContains(t, err, "half of a surrogate pair")
	same, err := sameCell(KindJSON, &Column{}, []byte(`"\ud83c\udf63"`), []byte(`"🍣"`))
	require.NoError(t, err)
	require.True(t, same)
}

func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"1.5", "-0.005", "1e3", "99999999999999999999.995", "0"} {
		f.Add(s, "1", 2)
	}
	f.Fuzz(func(t *testing.T, a, b string, scale int) {
		r := cellReader{kind: KindDecimal}
		x, err := r.append([]byte{}, []byte(a))
		if err != nil {
			return
		}
		again, err := r.append([]byte{}, x)
		require.NoError(t, err)
		require.Equal(t, string(x), string(again), "the neutral form is its own")
		y, err := r.append([]byte{}, []byte(b))
		if err != nil {
			return
		}
		require.Equal(t, compareNumbers(x, y), -compareNumbers(y, x))
		require.Equal(t, string(x) == string(y), compareNumbers(x, y) == 0)
		fx, _ := strconv.ParseFloat(string(x), 64)
		fy, _ := strconv.ParseFloat(string(y), 64)
		if fx != fy {
			require.Equal(t, fx < fy, compareNumbers(x, y) < 0, "%s %s", x, y)
		}
		rounded := appendRounded(nil, x, max(0, min(scale, 70)))
		again, err = r.append([]byte{}, rounded)
		require.NoError(t, err)
		require.Equal(t, string(rounded), string(again))
		fr, _ := strconv.ParseFloat(string(rounded), 64)
		require.LessOrEqual(t, math.Abs(fr-fx), 0.5*math.Pow10(-max(0, min(scale, 70)))+math.Abs(fx)*1e-9)
	})
}

// FuzzCompare reads anything as any kind: nothing panics, what is the same stays the same, and a value is always the same as itself.
func FuzzCompare(f *testing.F) {
	for k := range KindBool + 1 {
		for _, s := range []string{"", "1", "a ", "2026-01-02 03:04:05.600+09:00", "2026-01-02", `{"a":[1.0,"x"]}`, "true", "-1e5"} {
			f.Add(int(k), s, "A", 2, byte(255))
		}
	}
	f.Fuzz(func(t *testing.T, kind int, a, b string, scale int, flags byte) {
		rule := Column{Fold: flags&1 > 0, TrimSpace: flags&2 > 0, EmptyIsNull: flags&4 > 0, HasScale: flags&8 > 0, Scale: max(0, min(scale, 30))}
		r := cellReader{kind: Kind(kind), rule: rule, from: resolvedColumn{bits: flags&16 > 0, wall: flags&32 > 0}, key: flags&64 > 0}
		x, errX := r.append([]byte{}, []byte(a))
		y, errY := r.append([]byte{}, []byte(b))
		if errX != nil || errY != nil {
			return
		}
		self, err := sameCell(r.kind, &rule, x, append([]byte{}, x...))
		require.NoError(t, err)
		require.True(t, self)
		one, err1 := sameCell(r.kind, &rule, x, y)
		other, err2 := sameCell(r.kind, &rule, y, x)
		require.Equal(t, err1 == nil, err2 == nil)
		require.Equal(t, one, other)
		ruledX, err1 := appendRuled([]byte{}, r.kind, &rule, x)
		ruledY, err2 := appendRuled([]byte{}, r.kind, &rule, y)
		if err1 == nil && err2 == nil && r.kind != KindFloat {
			require.Equal(t, string(ruledX) == string(ruledY) && (ruledX == nil) == (ruledY == nil), one)
		}
	})
}

// FuzzKeyText proves that the key of a violation can be read back, so that a row is found again at the second look.
func FuzzKeyText(f *testing.F) {
	f.Add("a,b", `\u0041"`)
	f.Add("0x41", "\xff\x00")
	f.Add("", "***")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, kind := range []Kind{KindText, KindBinary} {
			key := neutralKey{a, b}
			text := keyText([]Kind{kind, KindText}, key)
			back, err := parseKeyText(text, 2)
			require.NoError(t, err, text)
			require.Equal(t, key, back, text)
			require.Equal(t, key, keyOf(keyCells(key), 2))
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("a"), []byte{}, true)
	f.Fuzz(func(t *testing.T, a, b []byte, null bool) {
		if null {
			b = nil
		}
		row := appendCell(appendCell(nil, append([]byte{}, a...)), b)
		cells := cellsOf(row, 2)
		require.Equal(t, append([]byte{}, a...), append([]byte{}, cells[0]...))
		require.Equal(t, b == nil, cells[1] == nil)
		require.Equal(t, string(b), string(cells[1]))
		require.Len(t, row[:keyEnd(row, 1)], 4+len(a))
	})
}
