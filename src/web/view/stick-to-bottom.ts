import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

/** This close to the end counts as being there, px. */
const NEAR = 24;
const UPWARD_KEYS = ['ArrowUp', 'PageUp', 'Home'];

/**
 * Keeps the page at its end while it grows, for as long as the reader is there; who scrolls up is left in peace.
 * `content` is the element that grows. Returns whether the reader is at the end, and how to go there.
 *
 * The page also moves by itself: what was far from the screen is laid out when it comes near, and turns out taller or
 * shorter than was estimated. So only these count as leaving: wheel, touch and keys upwards, and (for the scroll bar,
 * which tells nothing) a move upwards while the height of the page stays what it was.
 */
export function useStickToBottom(content: RefObject<HTMLElement | null>): { atEnd: boolean; toEnd: () => void } {
  const [atEnd, setAtEnd] = useState(true);
  const sticking = useRef(true);

  const stick = useCallback((on: boolean) => {
    sticking.current = on;
    setAtEnd(on);
  }, []);

  const toEnd = useCallback(() => {
    stick(true);
    scrollToEnd();
  }, [stick]);

  useEffect(() => {
    const ended = new AbortController();
    const listen = { signal: ended.signal, passive: true };
    const page = document.documentElement;
    let last = { top: page.scrollTop, height: page.scrollHeight };
    const leave = () => {
      if (page.scrollHeight > page.clientHeight) stick(false);
    };
    const onScroll = () => {
      const now = { top: page.scrollTop, height: page.scrollHeight };
      if (isNearEnd()) stick(true);
      else if (now.top < last.top && now.height === last.height) stick(false);
      else if (sticking.current) scrollToEnd();
      last = now;
    };
    let touchedAt = 0;
    window.addEventListener('scroll', onScroll, listen);
    window.addEventListener('wheel', (event) => event.deltaY < 0 && leave(), listen);
    window.addEventListener('touchstart', (event) => (touchedAt = event.touches[0]?.clientY ?? 0), listen);
    window.addEventListener('touchmove', (event) => (event.touches[0]?.clientY ?? 0) > touchedAt && leave(), listen);
    window.addEventListener(
      'keydown',
      (event) => {
        const writing = event.target instanceof HTMLTextAreaElement;
        if (!writing && UPWARD_KEYS.includes(event.key)) leave();
      },
      listen,
    );
    // What a reader unfolds must not push itself out of sight: the page stands still while it grows by their own hand.
    const onClick = (event: MouseEvent) => {
      const { target } = event;
      if (!(target instanceof Element) || target.closest('main button') === null) return;
      sticking.current = false;
      requestAnimationFrame(() => requestAnimationFrame(() => stick(isNearEnd())));
    };
    window.addEventListener('click', onClick, { signal: ended.signal, capture: true });
    return () => ended.abort();
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
