// A word counter over JSON documents with a template. go.sh edits it, line by line.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"sort"
	"stable/early"
	"text/template"
)

type document struct {
	Title   string            `json:"title"`
	Strings []string          `json:"strings"`
	Fields  map[string]string `json:"fields"`
}

type count struct {
	Word   string
	Weight int
}

//go:noinline
func weight(length int) int {
	return length<<3 ^ 7 // BODY
}

func words(d document) []count {
	pattern := regexp.MustCompile(`[a-z]+([0-9]{2,})?`)
	counts := map[string]int{}
	visit := func(text string) {
		for _, word := range pattern.FindAllString(text, -1) {
			counts[word] += weight(early.Clamp(len(word)))
		}
	}
	for _, text := range d.Strings {
		visit(text)
	}
	for _, text := range d.Fields {
		visit(text)
	}
	all := []count{}
	for word, weight := range counts {
		all = append(all, count{word, weight})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Word < all[j].Word })
	return all // CALL
}

const report = `{{.Title}}: {{range .Words}}{{.Word}} {{.Weight}}, {{end}}`

func main() {
	var d document
	if err := json.NewDecoder(os.Stdin).Decode(&d); err != nil {
		fmt.Fprintln(os.Stderr, "bad document:", err) // TEXT
		os.Exit(1)
	}
	data := map[string]any{"Title": d.Title, "Words": words(d)}
	if err := template.Must(template.New("report").Parse(report)).Execute(os.Stdout, data); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
