import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

/** This close to the end counts as being there, px. */
const NEAR = 24;
const UPWARD_KEYS = ['ArrowUp', 'PageUp', 'Home'];

export interface Follow {
  /** The reader is at the end, and is kept there while it grows. */
  atEnd: boolean;
  toEnd: () => void;
  /** The reader was brought somewhere else. */
  leave: () => void;
}

/**
 * Keeps a scrolled box at its end while what is in it grows, for as long as the reader is there; a reader who scrolls up is left in peace.
 *
 * The box also moves by itself: rows turn out taller or shorter than was estimated. So only these count as leaving: wheel, touch and keys
 * upwards, and (for the scroll bar, which tells nothing) a move upwards while the height of the content stays what it was.
 * @param box what scrolls. @param content what grows in it
 */
export function useFollow(box: RefObject<HTMLElement | null>, content: RefObject<HTMLElement | null>): Follow {
  const [atEnd, setAtEnd] = useState(true);
  const isFollowing = useRef(true);

  const follow = useCallback((on: boolean) => {
    isFollowing.current = on;
    setAtEnd(on);
  }, []);

  const toEnd = useCallback(() => {
    follow(true);
    if (box.current !== null) scrollToEnd(box.current);
  }, [follow, box]);

  // Where they were brought may be the end all the same.
  const leave = useCallback(() => {
    follow(false);
    const look = () => {
      if (box.current !== null && isNearEnd(box.current)) follow(true);
    };
    requestAnimationFrame(() => requestAnimationFrame(look));
  }, [follow, box]);

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const ended = new AbortController();
    const listen = { signal: ended.signal, passive: true };
    let last = { top: element.scrollTop, height: element.scrollHeight };
    const leaveUpwards = () => {
      if (element.scrollHeight > element.clientHeight) follow(false);
    };
    const onScroll = () => {
      const now = { top: element.scrollTop, height: element.scrollHeight };
      if (isNearEnd(element)) {
        if (!isFollowing.current) follow(true);
      } else if (now.top < last.top && now.height === last.height) follow(false);
      else if (isFollowing.current) scrollToEnd(element);
      last = now;
    };
    let touchedAt = 0;
    element.addEventListener('scroll', onScroll, listen);
    element.addEventListener('wheel', (event) => event.deltaY < 0 && leaveUpwards(), listen);
    element.addEventListener('touchstart', (event) => (touchedAt = event.touches[0]?.clientY ?? 0), listen);
    element.addEventListener(
      'touchmove',
      (event) => (event.touches[0]?.clientY ?? 0) > touchedAt && leaveUpwards(),
      listen,
    );
    window.addEventListener(
      'keydown',
      (event) => {
        const isWriting = event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLInputElement;
        if (!isWriting && UPWARD_KEYS.includes(event.key)) leaveUpwards();
      },
      listen,
    );
    // What a reader unfolds must not push itself out of sight: the box stands still while it grows by their own hand.
    const onClick = (event: MouseEvent) => {
      const { target } = event;
      if (!(target instanceof Element) || target.closest('button') === null) return;
      isFollowing.current = false;
      requestAnimationFrame(() => requestAnimationFrame(() => follow(isNearEnd(element))));
    };
    element.addEventListener('click', onClick, { signal: ended.signal, capture: true });
    return () => ended.abort();
  }, [follow, box]);

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || content.current === null) return;
    const observer = new ResizeObserver(() => {
      if (isFollowing.current) scrollToEnd(element);
    });
    observer.observe(content.current);
    observer.observe(element);
    return () => observer.disconnect();
  }, [box, content]);

  return { atEnd, toEnd, leave };
}

function isNearEnd({ scrollTop, scrollHeight, clientHeight }: HTMLElement): boolean {
  return scrollHeight - clientHeight - scrollTop < NEAR;
}

function scrollToEnd(element: HTMLElement): void {
  element.scrollTop = element.scrollHeight;
}
