// What `bench:gateway` measures the gateway against: the least a Worker can do that hands requests on. It judges and counts nothing.
export default {
  fetch(request, { API, GIT }) {
    const { pathname, search } = new URL(request.url);
    const to = pathname.startsWith('/git/') ? `${GIT}${pathname.slice('/git'.length)}` : `${API}${pathname}`;
    return fetch(new Request(`${to}${search}`, request));
  },
};
