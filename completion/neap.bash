# bash completion for neap
#
# Commands and options are read from `neap help` and `neap COMMAND --help`, so this file knows the
# values only: what may stand behind an option, and the words that are arguments.

# => the values of option $2 of command $1, one a line; nothing: a file
_neap_values()
{
	case $2 in
	--contents) printf '%s\n' real tags ;;
	--costs) printf '%s\n' server emulated-guest ;;
	--figure) printf '%s\n' call-path kswapd nap balance kcompactd layers scanners ;;
	--gfp) printf '%s\n' GFP_KERNEL GFP_ATOMIC GFP_NOWAIT GFP_NOIO GFP_NOFS GFP_USER \
		GFP_HIGHUSER GFP_HIGHUSER_MOVABLE GFP_TRANSHUGE GFP_TRANSHUGE_LIGHT GFP_DMA GFP_DMA32 ;;
	--order) printf '%s\n' 0 1 2 3 4 5 6 7 8 9 10 ;;
	--set) printf '%s\n' min_free_kbytes= watermark_scale_factor= watermark_boost_factor= \
		lowmem_reserve_ratio= swappiness= page-cluster= ;;
	--host) printf '%s\n' table log ;;
	--size) printf '%s\n' 2M 1G ;;
	--want) printf '%s\n' low-min= absorb= ;;
	--zone) printf '%s\n' DMA DMA32 Normal Movable ;;
	--cpus | --nodes | --node | --seed | --seeds | --processes | --explore | --width | --watch | \
		--memory | -m | --until | --break | --at | --document | \
		--host-others) echo '' ;;
	esac
}

_neap()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local neap=${COMP_WORDS[0]} command=${COMP_WORDS[1]} words

	COMPREPLY=()
	if ((COMP_CWORD == 1)) || [[ $COMP_CWORD -eq 2 && $command == help ]]; then
		words=$("$neap" help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p' |
			grep -vx neap)
		mapfile -t COMPREPLY < <(compgen -W "$words help --help --version" -- "$word")
		return
	fi
	# The shell splits --option=value at the equals sign.
	if [[ $word == '=' ]]; then
		word=
	elif [[ $before == '=' ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if [[ $before == -?* ]]; then
		words=$(_neap_values "$command" "$before")
		if [[ -n $words ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
			[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
			return
		fi
	fi
	if [[ $word == -* ]]; then
		words=$("$neap" "$command" --help 2>/dev/null |
			grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -e '--[a-z-]+')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
		return
	fi
	case $command in
	show) words='vmstat zoneinfo buddyinfo meminfo swaps' ;;
	forecast) words=hugepages ;;
	sysctl) words=$("$neap" sysctl 2>/dev/null | sed -n 's/^\([a-z_.-]*\) = .*/\1/p') ;;
	*) words= ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word"; compgen -f -- "$word")
	compopt -o filenames 2>/dev/null
}

complete -F _neap neap
