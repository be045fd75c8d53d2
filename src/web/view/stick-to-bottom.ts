import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

/** This close to the end counts as being there, px. */
const NEAR = 60;

/**
 * Keeps the page at its end while it grows, for as long as the reader is there; who scrolls up is left in peace.
 * `content` is the element that grows. Returns whether the reader is at the end, and how to go there.
 */
export function useStickToBottom(content: RefObject<HTMLElement | null>): { atEnd: boolean; toEnd: () => void } {
  const [atEnd, setAtEnd] = useState(true);
  const sticking = useRef(true);
  const lastTop = useRef(0);

  const stick = useCallback((on: boolean) => {
    sticking.current = on;
    setAtEnd(on);
  }, []);

  const toEnd = useCallback(() => {
    stick(true);
    scrollToEnd();
  }, [stick]);

  useEffect(() => {
    const onScroll = () => {
      const { scrollTop } = document.documentElement;
      const near = isNearEnd();
      // Growth moves the end away without moving the reader: only a move upwards is leaving.
      if (near) stick(true);
      else if (scrollTop < lastTop.current - 1) stick(false);
      lastTop.current = scrollTop;
    };
    // What a reader unfolds must not push itself out of sight: the page stands still while it grows by their own hand.
    const onClick = (event: MouseEvent) => {
      const { target } = event;
      if (!(target instanceof Element) || target.closest('main button') === null) return;
      sticking.current = false;
      requestAnimationFrame(() => requestAnimationFrame(() => stick(isNearEnd())));
    };
    window.addEventListener('scroll', onScroll, { passive: true });
    window.addEventListener('click', onClick, { capture: true });
    return () => {
      window.removeEventListener('scroll', onScroll);
      window.removeEventListener('click', onClick, { capture: true });
    };
  }, [stick]);

  useLayoutEffect(() => {
    if (content.current === null) return;
    const observer = new ResizeObserver(() => {
      if (sticking.current) scrollToEnd();
    });
    observer.observe(content.current);
    observer.observe(document.documentElement);
    return () => observer.disconnect();
  }, [content]);

  return { atEnd, toEnd };
}

function isNearEnd(): boolean {
  const { scrollTop, scrollHeight, clientHeight } = document.documentElement;
  return scrollHeight - clientHeight - scrollTop < NEAR;
}

function scrollToEnd(): void {
  document.documentElement.scrollTop = document.documentElement.scrollHeight;
}
