package redismigrate

// orDefault is how every option falls back to its default: zero means it, and so does a negative value, which would make no sense.
func orDefault[T ~int | ~int64](value, standard T) T {
	if value <= 0 {
		return standard
	}
	return value
}
