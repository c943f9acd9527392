// Package early imports nothing, so that the linker puts it before most others.
package early

//go:noinline
func Clamp(n int) int {
	if n > 1000 {
		return 1000
	}
	return n // CALL
}
