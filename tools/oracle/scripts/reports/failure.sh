# machine nodes=256M cpus=2 swap=64M probe=1
# Requests that fail and say so. The module takes two thirds of all pages singly, so that no large
# block is left, and asks until a request has no answer. One report in ten seconds is printed.
ask() # LABEL ORDER GFP
{
	module "hog 0.1 500 20800 0" "unhog 3 0" "hog 0.0 0 20801 8" >/dev/null
	before "$1"
	slot=0
	while [ $slot -lt 400 ]; do
		answer=$(module "a $slot $2 $3 0" | head -n 1)
		echo "$answer" >>"/out/$1/result"
		case $answer in *"= -"*) break ;; esac
		slot=$((slot + 1))
	done
	after "$1"
	module freeslots "unhog 1 0" >/dev/null
	sleep 11
}
ask atomic-order3 3 a20
ask kernel-order4 4 40dc0
