module stable

go 1.19
