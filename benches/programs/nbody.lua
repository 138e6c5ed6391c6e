-- Planets under gravity: floating point and table fields.
local bodies = {}
for i = 1, 5 do
  bodies[i] = { x = i * 1.5, y = -i, z = i % 3, vx = 0.1 * i, vy = 0.2, vz = -0.05 * i, mass = 1 / i }
end

local function advance(dt)
  for i = 1, #bodies do
    local a = bodies[i]
    for j = i + 1, #bodies do
      local b = bodies[j]
      local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
      local distance = math.sqrt(dx * dx + dy * dy + dz * dz + 0.01)
      local magnitude = dt / (distance * distance * distance)
      a.vx = a.vx - dx * b.mass * magnitude
      a.vy = a.vy - dy * b.mass * magnitude
      a.vz = a.vz - dz * b.mass * magnitude
      b.vx = b.vx + dx * a.mass * magnitude
      b.vy = b.vy + dy * a.mass * magnitude
      b.vz = b.vz + dz * a.mass * magnitude
    end
  end
  for _, body in ipairs(bodies) do
    body.x = body.x + dt * body.vx
    body.y = body.y + dt * body.vy
    body.z = body.z + dt * body.vz
  end
end

for _ = 1, 200000 do advance(0.001) end
print(string.format("%.9f %.9f", bodies[1].x, bodies[5].z))
